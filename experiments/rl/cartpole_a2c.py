"""Balance a pole on a cart with advantage actor-critic (A2C).

    fdl train experiments/rl/cartpole_a2c.py

It learns from 499,200 steps of the environment, each of them once. Then 1,000 greedy
test episodes have a mean return of 499.7 with the seeds 0 to 9, of which eight reach
the limit of 500 in all episodes; the worst mean is 496.8. The rate has to fall, and to
be low: with rollouts of four times as many steps and a rate of 3e-3, two of four seeds
ended below 150.
"""

from typing import Literal

import jax.numpy as jnp
from ml_collections import ConfigDict

import fdl


def get_config(size: Literal["full", "smoke"] = "full") -> ConfigDict:
    """Config of the experiment: sizes, rates and periods."""
    full = size == "full"
    config = ConfigDict()
    config.num_steps = 3900 if full else 2
    config.log_every = "100 steps" if full else "1 step"
    config.eval_every = "1300 steps" if full else "1 step"
    config.save_every = "1300 steps" if full else "1 step"
    config.steps_per_call = 100 if full else 1
    config.keep_memory = False  # Its buffers are small, and its steps many.
    config.best = "max episode_return"

    config.env = {"name": "CartPole-v1"}
    config.model = {"hidden_sizes": (64, 64), "shared": False}
    config.actor_critic = {"value_cost": 0.5, "entropy_cost": 0.0}
    config.on_policy = {
        "num_envs": 16 if full else 4,
        "num_steps": 8,
        "num_epochs": 1,  # A step is only right for the policy that has acted.
        "num_minibatches": 1,
        "discount": 0.98,
        "lambda_": 0.95,
    }
    config.optimizer = {
        "name": "adam",
        "learning_rate": 1e-3,
        "schedule": "linear",
        "clip_by_global_norm": 0.5,
        "eps": 1e-5,
    }
    config.num_test_episodes = 1000 if full else 4
    return config


def build(config: ConfigDict) -> fdl.Experiment:
    """Experiment of a config: data, model, learner and evaluation."""
    env = fdl.envs.gymnax(**config.env)
    module = fdl.models.ActorCritic(env.action.num_values, **config.model)
    model = fdl.models.functional(module, jnp.zeros((1, *env.observation.shape)))
    actions = fdl.distributions.categorical()
    rollout = config.on_policy
    optimizer = fdl.optim.chain(**config.optimizer, num_steps=config.num_steps)
    objective = fdl.objectives.actor_critic(model, actions, **config.actor_critic)
    actor = fdl.rl.actor(model)
    policy = fdl.rl.greedy(actor, actions)
    return fdl.experiment.reinforcement_learning(
        fdl.rl.on_policy(env, model, actions, objective, optimizer, **rollout),
        fdl.data.no_data(rollout.num_envs * rollout.num_steps, "env_steps"),
        env,
        policy,
        num_episodes=config.num_test_episodes,
        model=model,
        probabilities=fdl.rl.action_probabilities(actor),
    )
