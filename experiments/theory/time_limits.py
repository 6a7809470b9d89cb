"""A time limit is no death: a learner that takes it for one does not go far.

fdl train experiments/theory/time_limits.py --seeds 10

On a road of ten places a step costs 0.05, and the last place pays one at each step. The
episodes of the training begin anywhere and are cut off after five steps. Where the rest
of a cut episode is bootstrapped from its value, A2C walks from the far end to the last
place: a return of 91.6 ± 0 in 100 steps, the best there is. Where the limit is taken
for a terminal state, it stays where it is, as what pays seems too far: -0.01 ± 0.01
(mean ± standard error of the seeds 0 to 9). Both claims hold.

References:
  Pardo et al., `Time Limits in Reinforcement Learning
  <https://arxiv.org/abs/1712.00378>`_, 2017.
"""

from typing import Literal

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

import fdl


def get_config(size: Literal["full", "smoke"] = "full") -> ConfigDict:
    """Config of the experiment: sizes, rates and periods."""
    full = size == "full"
    config = ConfigDict()
    config.num_steps = 200 if full else 5
    config.log_every = "20 steps" if full else "1 step"
    config.eval_every = "100 steps" if full else "5 steps"
    config.save_every = "never"
    config.best = "max cut_off/episode_return"

    config.env = {"length": 10, "cost": 0.05}
    config.time_limit = 5  # Steps of an episode of the training.
    config.test_time_limit = 100
    config.actor_critic = {"value_cost": 0.5, "entropy_cost": 0.01}
    config.on_policy = {
        "num_envs": 32,
        "num_steps": 16,
        "num_epochs": 1,
        "num_minibatches": 1,
        "discount": 0.95,
        "lambda_": 0.9,
    }
    config.optimizer = {"name": "adam", "learning_rate": 0.05}
    config.num_test_episodes = 100
    return config


def build(config: ConfigDict) -> fdl.Experiment:
    """Experiment of a config: both readings of a limit, and the claims."""
    env = road(**config.env, time_limit=config.time_limit, anywhere=True)
    # Each test episode begins at the far end, and is long enough to arrive.
    test_env = road(**config.env, time_limit=config.test_time_limit, anywhere=False)
    arms = {
        name: experiment_of(config, one, test_env)
        for name, one in {"cut_off": env, "death": deadly(env)}.items()
    }
    return fdl.experiment.compare(
        arms,
        claims=[
            fdl.Claim(
                "bootstrapped where it is cut off, it walks to the end (return)",
                lambda m: m["cut_off/episode_return"],
                at_least=80,
            ),
            fdl.Claim(
                "with limits for death, it stays where it is (return)",
                lambda m: m["death/episode_return"],
                at_most=10,
            ),
        ],
    )


def experiment_of(config, env, test_env):
    """A2C with a logit and a value for each place."""
    num_places = config.env.length
    module = fdl.models.ActorCritic(
        env.action.num_values, hidden_sizes=(), input_shape=(num_places,)
    )
    model = fdl.models.functional(module)
    actions = fdl.distributions.categorical()
    objective = fdl.objectives.actor_critic(model, actions, **config.actor_critic)
    optimizer = fdl.optim.chain(**config.optimizer, num_steps=config.num_steps)
    rollout = config.on_policy
    policy = fdl.rl.greedy(fdl.rl.actor(model), actions)
    return fdl.Experiment(
        learner=fdl.rl.on_policy(env, model, actions, objective, optimizer, **rollout),
        batches=fdl.data.no_data(rollout.num_envs * rollout.num_steps, "env_steps"),
        evaluate=fdl.rl.on_episodes(
            test_env, policy, num_episodes=config.num_test_episodes
        ),
    )


def road(length, cost, time_limit, *, anywhere):
    """A road, along which a step costs, and at whose end each step pays one.

    Action 0 stays, action 1 goes on; nothing is terminal.
    """

    def reset(key):
        place = jax.random.randint(key, (), 0, length) if anywhere else jnp.int32(0)
        state = jnp.stack([place, jnp.int32(0)])
        return state, jax.nn.one_hot(place, length)

    def step(state, action, key):
        place, time = jnp.minimum(state[0] + action, length - 1), state[1] + 1
        reward = jnp.where(place == length - 1, 1.0, -cost * action)
        observation = jax.nn.one_hot(place, length)
        return jnp.stack([place, time]), fdl.types.Timestep(
            observation, reward, jnp.zeros((), bool), time >= time_limit
        )

    observation, action = fdl.envs.box((length,), 0, 1), fdl.envs.discrete(2)
    return fdl.Env(reset, step, observation, action)


def deadly(env):
    """Environment whose truncated episodes are said to be terminated."""

    def step(state, action, key):
        state, timestep = env.step(state, action, key)
        ended = timestep.terminated | timestep.truncated
        return state, timestep._replace(terminated=ended, truncated=~ended & ended)

    return env._replace(step=step)
