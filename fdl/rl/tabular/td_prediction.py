"""Temporal-difference prediction with tables: TD(λ)."""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from fdl.envs.mdp import draw
from fdl.errors import check_positive
from fdl.metrics import mean
from fdl.rl.rollout import Transition, unroll
from fdl.rl.statistics.episodes import (
    EpisodeStats,
    init_episode_stats,
    update_episode_stats,
)
from fdl.rl.tabular.tables import Rate, checked_policy, rate_at
from fdl.types import Array, Env, Key, Learner, State, Variables


class PredictionState(NamedTuple):
    """State of tabular prediction and of its environment.

    Attributes:
      step: Number of learner steps, int32 [].
      key: Root key, from which those of all steps are derived; it never changes.
      values: Value of each observation, float32 [S].
      trace: Eligibility trace, float32 [S].
      env: State of the environment, [1, ...].
      observation: Current observation, int32 [1].
      episode: Return and length of the running episode, [1].
    """

    step: Array
    key: Key
    values: Array
    trace: Array
    env: State
    observation: Array
    episode: EpisodeStats

    @property
    def variables(self) -> Variables:
        """Values of the observations."""
        return {"params": {"values": self.values}}


def td_prediction(
    env: Env,
    policy: Array,
    *,
    step_size: Rate,
    discount: float,
    lambda_: float,
    num_steps: int,
    initial: float = 0.0,
) -> Learner:
    """TD(λ) prediction with a table: learns the values of a given policy.

    The variables are ``{"params": {"values": [S]}}``; the metric ``loss`` is the mean
    squared TD error.

    Args:
      env: Environment whose observations and actions are each a discrete number.
      policy: Probability of each action, float [S, A].
      step_size: Step size α, or a function of the learner step.
      discount: Discount factor γ.
      lambda_: λ of `td_lambda`: zero is TD(0), and one a Monte Carlo method.
      num_steps: Number of environment steps of a step of the learner.
      initial: Initial values.

    Raises:
      UserError: Observations or actions are no discrete numbers, the policy has another
        shape, or ``num_steps`` is below 1.
    """
    check_positive(num_steps=num_steps)
    policy = checked_policy(policy, env)

    def act(observation, key):
        return draw(key, policy[observation])

    def init(key):
        reset_key, step_key = jax.random.split(key)
        env_state, observation = jax.vmap(env.reset)(reset_key[None])
        return PredictionState(
            jnp.zeros((), jnp.int32),
            step_key,
            jnp.full(len(policy), initial, jnp.float32),
            jnp.zeros(len(policy), jnp.float32),
            env_state,
            observation,
            init_episode_stats(1),
        )

    def step(state, batch=None):
        del batch
        key = jax.random.fold_in(state.key, state.step)
        env_state, observation, transitions = unroll(
            env, act, state.env, state.observation, key, num_steps
        )
        values, trace, error = td_lambda(
            state.values,
            state.trace,
            jax.tree.map(lambda x: x[:, 0], transitions),
            step_size=rate_at(step_size, state.step),
            discount=discount,
            lambda_=lambda_,
        )
        episode, metrics = update_episode_stats(
            state.episode, transitions.reward, transitions.ended
        )
        after = PredictionState(
            state.step + 1, state.key, values, trace, env_state, observation, episode
        )
        return after, {"loss": mean(jnp.square(error)), **metrics}

    return Learner(init, step)


def td_lambda(
    values: Array,
    trace: Array,
    transitions: Transition,
    *,
    step_size: float | Array,
    discount: float,
    lambda_: float,
) -> tuple[Array, Array, Array]:
    """TD(λ) along transitions: values after updates with an accumulating trace.

    ``v += α (r + γ v(s') - v(s)) z`` with the eligibility trace ``z``, which is
    ``γλ z``, and one more at ``s``. It is zero at the beginning of each episode; the
    value of a terminal state is zero.

    Args:
      values: Value of each observation, float [S].
      trace: Eligibility trace, float [S].
      transitions: Consecutive transitions, [T], whose observations are numbers.
      step_size: Step size α.
      discount: Discount factor γ.
      lambda_: Decay λ of the trace.

    Returns:
      Values and trace after the transitions, float [S] each, and the TD error of each
      transition, float [T].

    References:
      Sutton, `Learning to Predict by the Methods of Temporal Differences
      <https://doi.org/10.1007/BF00115009>`_, 1988.
    """
    chex.assert_equal_shape([values, trace])

    def update(carry, transition):
        values, trace = carry
        here = transition.observation
        later = jnp.where(transition.terminated, 0, values[transition.next_observation])
        error = transition.reward + discount * later - values[here]
        trace = (discount * lambda_ * trace).at[here].add(1)
        values += step_size * error * trace
        return (values, jnp.where(transition.ended, 0, trace)), error

    (values, trace), errors = jax.lax.scan(update, (values, trace), transitions)
    return values, trace, errors
