"""Swing up a pendulum with soft actor-critic (SAC).

fdl train experiments/rl/pendulum_sac.py

It learns from 20,000 steps of the environment. The return over 1,000 greedy episodes is
-148.8 on average over the seeds 0 to 9, and -153.1 with the worst of them. The seeds 6
to 9, -150.2 on average, were trained later than the others, -147.9, and in one program.
A seed takes 10 to 20 seconds of processor time, and the first 11 more for compilation.
"""

from typing import Literal

import jax.numpy as jnp
from ml_collections import ConfigDict

import fdl


def get_config(size: Literal["full", "smoke"] = "full") -> ConfigDict:
    """Config of the experiment: sizes, rates and periods."""
    full = size == "full"
    config = ConfigDict()
    config.num_steps = 5000 if full else 4
    config.log_every = "250 steps" if full else "1 step"
    config.eval_every = "1000 steps" if full else "2 steps"
    config.save_every = "1000 steps" if full else "2 steps"
    config.steps_per_call = 250 if full else 1
    config.keep_memory = False  # Its buffers are small, and its steps many.
    config.best = "max episode_return"

    config.env = {"name": "Pendulum-v1"}
    config.model = {"hidden_sizes": (64, 64) if full else (8,)}
    config.replay = {"capacity": 20_000, "discount": 0.99}
    config.off_policy = {
        "num_envs": 4,
        "num_steps": 1,
        "num_updates": 4,
        "learning_starts": 400 if full else 8,
    }
    config.batch_size = 128 if full else 4
    config.save_replay = True  # Without, a resumed run fills it anew.
    config.target_rate = 0.005
    config.target_entropy = -1.0
    config.optimizer = {"name": "adam", "learning_rate": 1e-3, "schedule": "linear"}
    config.num_test_episodes = 100 if full else 4
    return config


def build(config: ConfigDict) -> fdl.Experiment:
    """Experiment of a config: environment, networks, learner and evaluation."""
    env = fdl.envs.scale_actions(fdl.envs.gymnax(**config.env))
    (size,) = env.action.shape
    inputs = jnp.zeros((1, *env.observation.shape))
    actor = fdl.models.functional(fdl.models.Actor(size, **config.model), inputs)
    critic = fdl.models.functional(
        fdl.models.Critic(**config.model), inputs, jnp.zeros((1, size))
    )
    model = fdl.models.combine(
        actor=actor,
        critic=critic,
        target_critic=critic,
        temperature=fdl.models.scalar(),
    )
    actions = fdl.distributions.squashed_normal()
    objectives = {
        "critic": fdl.objectives.soft_critic(model, actions),
        "actor": fdl.objectives.soft_actor(model, actions),
        "temperature": fdl.objectives.soft_temperature(
            model, actions, target_entropy=config.target_entropy
        ),
    }
    num_updates = fdl.rl.count_updates(config.num_steps, **config.off_policy)
    optimizer = fdl.optim.chain(**config.optimizer, num_steps=num_updates)
    updates = fdl.learners.target_network_learner(
        model,
        objectives,
        optimizer,
        policy="actor",
        targets={"target_critic": "critic"},
        rate=config.target_rate,
    )
    policy = fdl.rl.sampling(actor, actions)
    learner = fdl.rl.off_policy(
        env,
        lambda num_steps: policy,
        updates,
        fdl.rl.uniform_replay(**config.replay),
        batch_size=config.batch_size,
        save_replay=config.save_replay,
        **config.off_policy,
    )
    greedy = fdl.rl.greedy(actor, actions)
    per_step = config.off_policy.num_envs * config.off_policy.num_steps
    return fdl.experiment.reinforcement_learning(
        learner,
        fdl.data.no_data(per_step, "env_steps"),
        env,
        greedy,
        num_episodes=config.num_test_episodes,
        model=actor,
    )
