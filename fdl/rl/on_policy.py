"""Learning from what was just seen."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import PartitionSpec

from fdl.distributions import Distribution
from fdl.errors import UserError
from fdl.learners.gradient import gradient_step, init_train_state
from fdl.rl.policies import sampling
from fdl.rl.returns import gae
from fdl.rl.rollout import Episode, Transition, finished, unroll
from fdl.types import (
    Array,
    Env,
    Key,
    Learner,
    Model,
    Objective,
    PyTree,
    State,
    TrainState,
    Variables,
)


class OnPolicyState(NamedTuple):
    """What is learnt, and the world it is learnt in.

    Attributes:
      step: Number of rollouts learnt from.
      key: The root of all chance; it never changes.
      train: What is learnt.
      env: States of the environments, [N, ...].
      observation: What they look like, [N, ...].
      episode: What is known of their episodes so far, [N].
    """

    step: Array
    key: Key
    train: TrainState
    env: State
    observation: Array
    episode: Episode


def on_policy(
    env: Env,
    model: Model,
    distribution: Distribution,
    objective: Objective,
    optimizer: optax.GradientTransformation,
    *,
    num_envs: int,
    num_steps: int,
    num_epochs: int,
    num_minibatches: int,
    discount: float,
    lambda_: float,
) -> Learner:
    """Acts for a while, learns from what came of it, and forgets it.

    One step of the learner is ``num_envs * num_steps`` steps of environments and
    ``num_epochs * num_minibatches`` steps down the gradient. It takes no batch.

    Args:
      env: What to act in.
      model: Returns the parameters of the distribution, and values, float [B].
      distribution: Of the actions.
      objective: What to minimise. Its batches have ``observation``, ``action``,
        ``log_prob``, ``advantage`` and ``return``.
      optimizer: What to make of the gradient.
      num_envs: Environments to act in at the same time, N.
      num_steps: Steps to take in each before learning from them, T.
      num_epochs: How often to learn from each.
      num_minibatches: In how many parts, each time.
      discount: What a reward loses in value with each step.
      lambda_: How far advantages trust rewards rather than values, see `gae`.

    Raises:
      UserError: The sizes do not fit together.
    """
    _check(
        num_envs=num_envs,
        num_steps=num_steps,
        num_epochs=num_epochs,
        num_minibatches=num_minibatches,
    )
    policy = sampling(model, distribution)
    update = gradient_step(objective, optimizer)

    def init(key):
        train_key, env_key, step_key = jax.random.split(key, 3)
        train = init_train_state(model, optimizer, train_key)
        env_state, observation = jax.vmap(env.reset)(
            jax.random.split(env_key, num_envs)
        )
        episode = Episode(jnp.zeros(num_envs), jnp.zeros(num_envs, jnp.int32))
        step = jnp.zeros((), jnp.int32)
        return OnPolicyState(step, step_key, train, env_state, observation, episode)

    def step(state, batch=None):
        del batch  # Experience is made here, not given.
        unroll_key, shuffle_key = jax.random.split(
            jax.random.fold_in(state.key, state.step)
        )
        variables = state.train.variables
        act = functools.partial(policy, variables)
        env_state, observation, seen = unroll(
            env, act, state.env, state.observation, unroll_key, num_steps
        )
        episode, episodes = finished(state.episode, seen)
        experience = with_advantages(
            model, distribution, variables, seen, discount=discount, lambda_=lambda_
        )

        def learn(train, rows):
            return update(train, jax.tree.map(lambda x: x[rows], experience))

        rows = shuffle(shuffle_key, num_envs * num_steps, num_epochs, num_minibatches)
        train, metrics = jax.lax.scan(learn, state.train, rows)
        metrics = jax.tree.map(lambda x: x.sum(axis=0), metrics)
        state = OnPolicyState(
            state.step + 1, state.key, train, env_state, observation, episode
        )
        return state, {**metrics, **episodes}

    shared: PyTree = PartitionSpec()
    apart: PyTree = PartitionSpec("data")
    partition = OnPolicyState(shared, shared, shared, apart, apart, apart)
    return Learner(init, step, partition, optimizer=optimizer)


def with_advantages(
    model: Model,
    distribution: Distribution,
    variables: Variables,
    seen: Transition,
    *,
    discount: float,
    lambda_: float,
) -> dict[str, Array]:
    """Transitions [T, N, ...] as a batch [T * N, ...], with what they were worth."""
    flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), seen)
    (params, values), _ = model.apply(variables, flat.observation)
    (_, next_values), _ = model.apply(variables, flat.next_observation)
    advantage = gae(
        seen.reward,
        values.reshape(seen.reward.shape),
        next_values.reshape(seen.reward.shape),
        seen.terminated,
        seen.truncated,
        discount=discount,
        lambda_=lambda_,
    ).reshape(-1)
    return {
        "observation": flat.observation,
        "action": flat.action,
        "log_prob": distribution.log_prob(params, flat.action),
        "advantage": advantage,
        "return": advantage + values,
    }


def shuffle(key: Key, size: int, num_epochs: int, num_minibatches: int) -> Array:
    """Rows of each minibatch, int [num_epochs * num_minibatches, B]."""
    keys = jax.random.split(key, num_epochs)
    rows = jax.vmap(lambda key: jax.random.permutation(key, size))(keys)
    return rows.reshape(num_epochs * num_minibatches, size // num_minibatches)


def _check(**sizes: int) -> None:
    for name, size in sizes.items():
        if size < 1:
            raise UserError(f"{name} is {size}, but has to be at least 1.")
    num_envs, num_steps, parts = (
        sizes[name] for name in ("num_envs", "num_steps", "num_minibatches")
    )
    if num_envs * num_steps % parts:
        raise UserError(
            f"num_envs * num_steps is {num_envs} * {num_steps}, which does not divide "
            f"by num_minibatches, {parts}."
        )
