"""Balance a pole on a cart with policy gradients of full episodes (REINFORCE).

    fdl train experiments/rl/cartpole_reinforce.py

It takes 150 gradient steps, each on 32 full episodes, of at most 2.4 million steps of
the environment. Then all of 1,000 greedy test episodes reach the limit, a return of
500.0, with each of the seeds 0 to 9.
"""

from typing import Literal

import jax.numpy as jnp
from ml_collections import ConfigDict

import fdl


def get_config(size: Literal["full", "smoke"] = "full") -> ConfigDict:
    """Config of the experiment: sizes, rates and periods."""
    full = size == "full"
    config = ConfigDict()
    config.num_steps = 150 if full else 2
    config.log_every = "10 steps" if full else "1 step"
    config.eval_every = "50 steps" if full else "1 step"
    config.save_every = "50 steps" if full else "1 step"
    config.steps_per_call = 10 if full else 1
    config.best = "max episode_return"

    config.env = {"name": "CartPole-v1"}
    config.model = {"hidden_sizes": (64, 64), "shared": False}
    config.policy_gradient = {"value_cost": 0.5, "entropy_cost": 0.0}
    config.episodic = {
        "num_episodes": 32 if full else 4,
        "max_steps": 500 if full else 20,
        "discount": 0.99,
    }
    config.optimizer = {"name": "adam", "learning_rate": 1e-2, "schedule": "linear"}
    config.num_test_episodes = 1000 if full else 4
    return config


def build(config: ConfigDict) -> fdl.Experiment:
    """Experiment of a config: data, model, learner and evaluation."""
    env = fdl.envs.gymnax(**config.env)
    module = fdl.models.ActorCritic(env.action.num_values, **config.model)
    model = fdl.models.functional(module, jnp.zeros((1, *env.observation.shape)))
    actions = fdl.distributions.categorical()
    optimizer = fdl.optim.chain(**config.optimizer, num_steps=config.num_steps)
    objective = fdl.objectives.policy_gradient(model, actions, **config.policy_gradient)
    actor = fdl.rl.actor(model)
    policy = fdl.rl.greedy(actor, actions)
    episodes = config.episodic
    return fdl.experiment.reinforcement_learning(
        fdl.rl.episodic(env, model, actions, objective, optimizer, **episodes),
        fdl.data.no_data(episodes.num_episodes, "episodes"),
        env,
        policy,
        num_episodes=config.num_test_episodes,
        model=model,
        probabilities=fdl.rl.action_probabilities(actor),
    )
