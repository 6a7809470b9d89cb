"""Episodic learning: alternate full episodes of the policy with updates on them."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from fdl.distributions import Distribution
from fdl.errors import check_positive, check_probability
from fdl.learners import gradient_learner
from fdl.rl.policies import actor, sampling
from fdl.rl.returns import discounted_returns
from fdl.rl.rollout import Transition, reset_all, unroll
from fdl.rl.statistics.observations import update_observation_stats
from fdl.types import (
    Array,
    Env,
    Key,
    Learner,
    Mean,
    Metrics,
    Model,
    Objective,
    TrainState,
    Variables,
)


class EpisodicState(NamedTuple):
    """State of an episodic learner, whose environments begin anew in each step.

    Attributes:
      step: Number of steps, int32 [].
      key: Root key, from which those of all steps are derived; it never changes.
      train: Parameters and optimizer state.
    """

    step: Array
    key: Key
    train: TrainState


def episodic(
    env: Env,
    model: Model,
    distribution: Distribution,
    objective: Objective,
    optimizer: optax.GradientTransformation,
    *,
    num_episodes: int,
    max_steps: int,
    discount: float,
) -> Learner:
    """Episodic learner, such as REINFORCE: a gradient step for a batch of episodes.

    A step of the learner plays ``num_episodes`` episodes, all from their beginning and
    in parallel, and takes one gradient step on all of their actions. It ignores its
    batch.

    Returns are discounted sums of the rewards of the episode. Where it was truncated,
    by a time limit or after ``max_steps``, the rest is the value of its last
    observation.

    Args:
      env: Environment.
      model: Actor-critic model, of observations to the parameters of the distribution
        and values, float [B].
      distribution: Distribution of the actions.
      objective: Objective to minimise, such as `policy_gradient`. Its batches have
        ``observation``, ``action``, ``return`` and ``mask``, True within an episode,
        each [num_episodes * max_steps, ...].
      optimizer: Optimizer of the gradients.
      num_episodes: Number of episodes of a step, N.
      max_steps: Maximum number of steps of an episode, T; shorter ones are padded.
      discount: Discount factor γ.

    Raises:
      UserError: A size is below 1, or the distribution is none; in the first step,
        also: the model is no actor-critic, or its actions are not those of the
        environment.
    """
    check_positive(num_episodes=num_episodes, max_steps=max_steps)
    policy = sampling(actor(model), distribution)
    check_probability(discount=discount)
    updates = gradient_learner(model, objective, optimizer)

    def init(key):
        train_key, step_key = jax.random.split(key)
        return EpisodicState(
            jnp.zeros((), jnp.int32), step_key, updates.init(train_key)
        )

    def step(state, batch=None):
        del batch
        key = jax.random.fold_in(state.key, state.step)
        reset_key, unroll_key = jax.random.split(key)
        env_state, observation = reset_all(env, reset_key, num_episodes)
        variables = state.train.train_variables
        _, _, transitions = unroll(
            env,
            lambda observation, key: policy(variables, observation, key),
            env_state,
            observation,
            unroll_key,
            max_steps,
        )
        ended = transitions.ended.astype(jnp.int32)
        mask = jnp.cumsum(ended, axis=0) - ended == 0  # The first of each environment.
        batch = _with_returns(model, variables, transitions, mask, discount)
        train, metrics = updates.step(state.train, batch)
        model_state = update_observation_stats(
            train.model_state, transitions.observation, mask
        )
        train = train._replace(model_state=model_state)
        state = EpisodicState(state.step + 1, state.key, train)
        return state, {**metrics, **_episode_metrics(transitions.reward, mask)}

    return Learner(
        init, step, lambda state: updates.variables(state.train), optimizer=optimizer
    )


def _with_returns(
    model: Model,
    variables: Variables,
    transitions: Transition,
    mask: Array,
    discount: float,
) -> dict[str, Array]:
    """Batch of transitions [T, N, ...] with their returns, each [T * N, ...]."""
    following = transitions.next_observation
    flat = following.reshape(-1, *following.shape[2:])
    (_, next_values), _ = model.apply(variables, flat)
    batch = {
        "observation": transitions.observation,
        "action": transitions.action,
        "return": discounted_returns(
            transitions.reward,
            next_values.reshape(transitions.reward.shape),
            transitions.terminated,
            transitions.truncated,
            discount=discount,
        ),
        "mask": mask,
    }
    return {name: x.reshape(-1, *x.shape[2:]) for name, x in batch.items()}


def _episode_metrics(reward: Array, mask: Array) -> Metrics:
    """Mean return and length of the episodes."""
    number = jnp.float32(mask.shape[1])
    return {
        "episode_return": Mean(jnp.where(mask, reward, 0).sum(), number),
        "episode_length": Mean(mask.sum(dtype=jnp.float32), number),
    }
