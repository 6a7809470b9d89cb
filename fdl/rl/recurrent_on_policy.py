"""On-policy learning of recurrent policies."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import PartitionSpec

from fdl.distributions import Distribution, checked
from fdl.errors import UserError, check_positive, check_probability
from fdl.learners import gradient_learner
from fdl.rl.minibatches import rollout_steps, shuffle
from fdl.rl.recurrent import one_step
from fdl.rl.returns import gae
from fdl.rl.rollout import Transition, reset_all, step_and_reset
from fdl.rl.statistics.episodes import (
    EpisodeStats,
    init_episode_stats,
    update_episode_stats,
)
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


class RecurrentState(NamedTuple):
    """State of a recurrent on-policy learner and of its environments.

    Attributes:
      step: Number of rollouts, int32 [].
      key: Root key, from which those of all steps are derived; it never changes.
      train: Parameters and optimizer state; its step counts gradient steps.
      env: States of the environments, [N, ...].
      observation: Current observations of the environments, [N, ...].
      carry: Carry of the model before these, [N, ...].
      resets: True where these begin an episode, bool [N].
      episode: Return and length of the running episodes, [N].
    """

    step: Array
    key: Key
    train: TrainState
    env: State
    observation: Array
    carry: PyTree
    resets: Array
    episode: EpisodeStats


_REPLICATED: PyTree = PartitionSpec()
_SHARDED: PyTree = PartitionSpec("data")
_PARTITION = RecurrentState(
    step=_REPLICATED,
    key=_REPLICATED,
    train=_REPLICATED,
    env=_SHARDED,
    observation=_SHARDED,
    carry=_SHARDED,
    resets=_SHARDED,
    episode=_SHARDED,
)


class _Step(NamedTuple):
    """Step of a rollout in N environments, [N, ...]."""

    transition: Transition
    resets: Array
    log_prob: Array
    value: Array
    next_value: Array


def recurrent_on_policy(
    env: Env,
    model: Model,
    distribution: Distribution,
    objective: Objective,
    optimizer: optax.GradientTransformation,
    *,
    zero_carry: Callable[[int], PyTree],
    num_envs: int,
    num_steps: int,
    num_epochs: int,
    num_minibatches: int,
    discount: float,
    lambda_: float,
    max_kl: float | None = None,
) -> Learner:
    """On-policy learner of a recurrent actor-critic, such as PPO with an LSTM.

    As `on_policy`, but the carry of the model goes on from one rollout to the next, and
    is zero at the beginning of each episode. A minibatch consists of whole sequences,
    the rollouts of some of the environments: gradients flow back through all of their
    steps, to the carry that the rollout began with.

    Args:
      env: Environment.
      model: Recurrent actor-critic model, ``apply(variables, observation, carry,
        resets)``, of observations [B, T, ...] to ``((params, values), carry)``, such as
        that of `models.RecurrentActorCritic`.
      distribution: Distribution of the actions.
      objective: Objective to minimise, of ``sequences(model)``, such as
        ``ppo(sequences(model), distribution)``. Its batches are those of `on_policy`,
        with axes [B, T].
      optimizer: Optimizer of the gradients.
      zero_carry: ``zero_carry(batch_size)``, the carry at the beginning of an episode:
        that of the module.
      num_envs: Number of parallel environments, N.
      num_steps: Number of steps of a rollout in each environment, T.
      num_epochs: Number of passes over a rollout.
      num_minibatches: Number of minibatches of a pass; divides N.
      discount: Discount factor γ.
      lambda_: λ of generalised advantage estimation; see `gae`.
      max_kl: Upper bound of the divergence of a minibatch; see `on_policy`.

    Raises:
      UserError: A size is below 1, ``num_minibatches`` does not divide the number of
        environments, or the distribution is none; in the first step, also: actions are
        not those of the environment.

    References:
      Hausknecht and Stone, `Deep Recurrent Q-Learning for Partially Observable MDPs
      <https://arxiv.org/abs/1507.06527>`_, 2015.
    """
    check_positive(
        num_envs=num_envs,
        num_steps=num_steps,
        num_epochs=num_epochs,
        num_minibatches=num_minibatches,
    )
    if num_envs % num_minibatches:
        raise UserError(
            f"num_minibatches={num_minibatches}: expected a divisor of "
            f"num_envs={num_envs}, as a minibatch has whole sequences"
        )
    act = _acting(env, model, checked(distribution))
    check_probability(discount=discount, lambda_=lambda_)
    updates = gradient_learner(model, objective, optimizer)

    def init(key):
        train_key, env_key, step_key = jax.random.split(key, 3)
        env_state, observation = reset_all(env, env_key, num_envs)
        return RecurrentState(
            jnp.zeros((), jnp.int32),
            step_key,
            updates.init(train_key),
            env_state,
            observation,
            zero_carry(num_envs),
            jnp.ones(num_envs, bool),
            init_episode_stats(num_envs),
        )

    def step(state, batch=None):
        del batch
        key = jax.random.fold_in(state.key, state.step)
        unroll_key, shuffle_key = jax.random.split(key)
        variables = state.train.train_variables
        (env_state, observation, carry, resets), steps = jax.lax.scan(
            lambda inputs, key: act(variables, inputs, key),
            (state.env, state.observation, state.carry, state.resets),
            jax.random.split(unroll_key, num_steps),
        )
        transition = steps.transition
        episode, episodes = update_episode_stats(
            state.episode, transition.reward, transition.ended
        )
        experience = _experience(state, steps, discount=discount, lambda_=lambda_)
        rows = shuffle(shuffle_key, num_envs, num_epochs, num_minibatches)
        train, metrics = rollout_steps(
            updates.step,
            state.train,
            experience,
            rows,
            transition.observation,
            max_kl=max_kl,
        )
        state = RecurrentState(
            state.step + 1,
            state.key,
            train,
            env_state,
            observation,
            carry,
            resets,
            episode,
        )
        return state, {**metrics, **episodes}

    return Learner(
        init,
        step,
        lambda state: updates.variables(state.train),
        _PARTITION,
        optimizer=optimizer,
    )


def _acting(
    env: Env, model: Model, distribution: Distribution
) -> Callable[[Variables, Any, Key], tuple[Any, _Step]]:
    """Function that steps N environments, and resets those that have ended."""

    def act(variables, inputs, key):
        env_state, observation, carry, resets = inputs
        act_key, step_key, reset_key = jax.random.split(key, 3)
        params, value, carry = one_step(model, variables, observation, carry, resets)
        action = distribution.sample(params, act_key)
        log_prob = distribution.log_prob(params, action)
        reset_keys = jax.random.split(reset_key, len(action))
        following, transition = step_and_reset(
            env, env_state, observation, action, step_key, reset_keys
        )
        # The value of the last observation of an episode, by the carry of that episode.
        going = jnp.zeros_like(resets)
        _, next_value, _ = one_step(
            model, variables, transition.next_observation, carry, going
        )
        found = _Step(transition, resets, log_prob, value, next_value)
        return (*following, carry, transition.ended), found

    return act


def _experience(
    state: RecurrentState, steps: _Step, *, discount: float, lambda_: float
) -> dict[str, Any]:
    """Batch of the sequences of a rollout, [N, T, ...]."""
    transition = steps.transition
    advantage = gae(
        transition.reward,
        steps.value,
        steps.next_value,
        transition.terminated,
        transition.truncated,
        discount=discount,
        lambda_=lambda_,
    )
    along_time = {
        "observation": transition.observation,
        "resets": steps.resets,
        "action": transition.action,
        "log_prob": steps.log_prob,
        "value": steps.value,
        "advantage": advantage,
        "return": advantage + steps.value,
        "step": jnp.full_like(advantage, state.step, dtype=jnp.int32),
    }
    batch = {name: jnp.swapaxes(x, 0, 1) for name, x in along_time.items()}
    inputs = {name: batch.pop(name) for name in ("observation", "resets")}
    return {**batch, "observation": {**inputs, "carry": state.carry}}
