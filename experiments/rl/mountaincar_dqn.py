"""Drive an underpowered car up a hill with double DQN, with and without counts.

fdl train experiments/rl/mountaincar_dqn.py --seeds 10

It learns from a reward of 100 for arriving and of nothing else; see `mountaincar_ppo`.
After 119,040 steps of the environment 1,000 greedy test episodes, in which each step
costs one, have a mean return of -106.4 with a bonus of counts (interquartile mean
-105.3, the seeds 0 to 9 from -119.6 to -99.7), and of -151.9 without (-150.6, from
-179.0 to -131.2), which arrives as well, but later. After a quarter of these steps it
is -127.0 with counts, and -184.8 without, with six seeds at -200.
"""

import functools
import math
from typing import Literal

import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

import fdl


def get_config(size: Literal["full", "smoke"] = "full") -> ConfigDict:
    """Config of the experiment: sizes, rates and periods."""
    full = size == "full"
    config = ConfigDict()
    config.num_steps = 465 if full else 4
    config.log_every = "93 steps" if full else "1 step"
    config.eval_every = "465 steps" if full else "2 steps"
    config.save_every = "never"
    config.steps_per_call = 93 if full else 1
    config.best = "max counts/episode_return"

    config.env = {"name": "MountainCar-v0"}
    config.num_bins = (32, 32)  # Of position and of velocity.
    config.scales = {"counts": 1.0, "plain": 0.0}  # Of the bonus.
    config.model = {"hidden_sizes": (64, 64)}
    config.replay = {"capacity": 120_000, "discount": 0.99}
    config.epsilon = {"init_value": 1.0, "end_value": 0.05, "transition_steps": 10_000}
    config.off_policy = {
        "num_envs": 8,
        "num_steps": 32 if full else 4,
        "num_updates": 128 if full else 8,
        "learning_starts": 1000 if full else 16,
    }
    config.batch_size = 128
    config.huber = {"delta": 100.0}
    config.target = {"period": 200, "rate": 1.0}
    config.optimizer = {
        "name": "adam",
        "learning_rate": 1e-3,
        "schedule": "linear",
        "clip_by_global_norm": 10.0,
    }
    config.num_test_episodes = 1000 if full else 4
    return config


def build(config: ConfigDict) -> fdl.Experiment:
    """Experiment of a config: both learners and their claims."""
    env = fdl.envs.gymnax(**config.env)
    module = fdl.models.QNetwork(env.action.num_values, **config.model)
    network = fdl.models.functional(module, jnp.zeros((1, *env.observation.shape)))
    network = scaled(network, env.observation)
    # One program for both scales.
    traced = fdl.inject_hyperparameters(
        functools.partial(learner_of, config, env, network)
    )
    greedy = fdl.rl.greedy(network, fdl.distributions.categorical())
    per_step = config.off_policy.num_envs * config.off_policy.num_steps
    arms = {
        name: fdl.experiment.reinforcement_learning(
            traced(scale=scale),
            fdl.data.no_data(per_step, "env_steps"),
            env,
            greedy,
            num_episodes=config.num_test_episodes,
        )
        for name, scale in config.scales.items()
    }
    return fdl.experiment.compare(
        arms,
        claims=[
            fdl.Claim(
                "with bonuses of counts it drives up the hill (return)",
                lambda m: m["counts/episode_return"],
                at_least=-115,
            ),
            fdl.Claim(
                "and sooner than without (difference of the returns)",
                lambda m: m["counts/episode_return"] - m["plain/episode_return"],
                at_least=20,
            ),
        ],
    )


def scaled(network, observation):
    """Network of observations, each element scaled from its bounds to -1 and 1."""
    middle = (observation.maximum + observation.minimum) / 2
    half = (observation.maximum - observation.minimum) / 2

    def apply(variables, x, **options):
        return network.apply(variables, (x - middle[None]) / half[None], **options)

    return fdl.Model(network.init, apply)


def arriving(timestep):
    """Reward for arriving alone, as that of the continuous mountain car."""
    return jnp.where(timestep.terminated, 100.0, 0.0)


def learner_of(config, env, network, scale):
    """Double DQN with a count-based bonus of a given scale."""
    model = fdl.models.combine(online=network, target=network)
    num_updates = fdl.rl.count_updates(config.num_steps, **config.off_policy)
    optimizer = fdl.optim.chain(**config.optimizer, num_steps=num_updates)
    loss = functools.partial(fdl.losses.huber, **config.huber)
    objective = fdl.objectives.q_learning(model, loss=loss)
    updates = fdl.learners.target_network_learner(
        model,
        {"online": objective},
        optimizer,
        policy="online",
        targets={"target": "online"},
        rate=config.target.rate,
        periods={"target": config.target.period},
    )
    epsilon = optax.linear_schedule(**config.epsilon)
    cells = fdl.rl.grid_cells(env.observation, config.num_bins)
    return fdl.rl.off_policy(
        fdl.envs.map_rewards(env, arriving),
        lambda num_steps: fdl.rl.epsilon_greedy(network, epsilon(num_steps)),
        updates,
        fdl.rl.uniform_replay(**config.replay),
        batch_size=config.batch_size,
        bonus=fdl.rl.count_bonus(cells, math.prod(config.num_bins), scale=scale),
        **config.off_policy,
    )
