"""Swing the tip of a two-link robot above a line with double DQN: Acrobot.

    fdl train experiments/rl/acrobot_dqn.py

It learns from 49,920 steps of the environment. The return over 1,000 greedy episodes is
-81.7 on average over the seeds 0 to 9: nine between -78.8 and -83.5, the worst -85.8.
All ten, in one program, take 190 seconds of processor time with its compilation.
"""

import functools
from typing import Literal

import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

import fdl


def get_config(size: Literal["full", "smoke"] = "full") -> ConfigDict:
    """Config of the experiment: sizes, rates and periods."""
    full = size == "full"
    config = ConfigDict()
    config.num_steps = 6240 if full else 4
    config.log_every = "520 steps" if full else "1 step"
    config.eval_every = "2080 steps" if full else "2 steps"
    config.save_every = "2080 steps" if full else "2 steps"
    config.steps_per_call = 260 if full else 1
    config.keep_memory = False  # Its buffers are small, and its steps many.
    config.best = "max episode_return"

    config.env = {"name": "Acrobot-v1"}
    config.model = {"hidden_sizes": (128, 128) if full else (8,), "dueling": False}
    config.replay = {"capacity": 100_000, "discount": 0.99, "num_steps": 3}
    config.epsilon = {"init_value": 1.0, "end_value": 0.04, "transition_steps": 20_000}
    config.off_policy = {
        "num_envs": 8,
        "num_steps": 1,
        "num_updates": 4 if full else 2,
        "learning_starts": 1000 if full else 16,
    }
    config.batch_size = 128 if full else 8
    config.double = True
    config.huber = {"delta": 100.0}  # Values are down to -100.
    config.target_rate = 0.03
    config.optimizer = {
        "name": "adam",
        "learning_rate": 2e-3,
        "schedule": "linear",
        "clip_by_global_norm": 10.0,
        "ema": 0.99,  # Of the weights, which act and are evaluated.
    }
    config.num_test_episodes = 1000 if full else 4
    return config


def build(config: ConfigDict) -> fdl.Experiment:
    """Experiment of a config: environment, network, learner and evaluation."""
    env = fdl.envs.gymnax(**config.env)
    module = fdl.models.QNetwork(env.action.num_values, **config.model)
    network = fdl.models.functional(module, jnp.zeros((1, *env.observation.shape)))
    model = fdl.models.combine(online=network, target=network)

    num_updates = fdl.rl.count_updates(config.num_steps, **config.off_policy)
    optimizer = fdl.optim.chain(**config.optimizer, num_steps=num_updates)
    loss = functools.partial(fdl.losses.huber, **config.huber)
    objective = fdl.objectives.q_learning(model, double=config.double, loss=loss)
    updates = fdl.learners.target_network_learner(
        model,
        {"online": objective},
        optimizer,
        policy="online",
        targets={"target": "online"},
        rate=config.target_rate,
    )
    epsilon = optax.linear_schedule(**config.epsilon)
    learner = fdl.rl.off_policy(
        env,
        lambda num_steps: fdl.rl.epsilon_greedy(network, epsilon(num_steps)),
        updates,
        fdl.rl.uniform_replay(**config.replay),
        batch_size=config.batch_size,
        **config.off_policy,
    )
    greedy = fdl.rl.greedy(network, fdl.distributions.categorical())
    per_step = config.off_policy.num_envs * config.off_policy.num_steps
    return fdl.experiment.reinforcement_learning(
        learner,
        fdl.data.no_data(per_step, "env_steps"),
        env,
        greedy,
        num_episodes=config.num_test_episodes,
        model=network,
    )
