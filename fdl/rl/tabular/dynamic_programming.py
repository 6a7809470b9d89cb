"""Dynamic programming: exact values and policies of a known MDP."""

from collections.abc import Callable
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from fdl.envs import MDP
from fdl.types import Array


class Solution(NamedTuple):
    """Policy of an MDP and its values.

    Attributes:
      values: Value of each state, float32 [S].
      policy: Action in each state, int32 [S].
      residual: Largest change of a value in the last sweep, float32 []: above the
        tolerance if there were too few sweeps, or if values have no bound.
      num_sweeps: Number of sweeps over all states, int32 [].
    """

    values: Array
    policy: Array
    residual: Array
    num_sweeps: Array


def expected_updates(mdp: MDP, values: Array, *, discount: float) -> Array:
    """Action values by the Bellman equation, of the values of the states after.

    ``q(s, a) = Σ p(s', r | s, a) (r + γ v(s'))``, where terminal states have the value
    zero.

    Args:
      mdp: Markov decision process.
      values: Value of each state, float [S].
      discount: Discount factor γ.

    Returns:
      Value of each action, float32 [S, A]; zero in terminal states.
    """
    chex.assert_shape(values, (len(mdp.terminal),))
    terminal = jnp.asarray(mdp.terminal)
    after = jnp.where(terminal, 0, values)[jnp.asarray(mdp.next_state)]
    targets = jnp.asarray(mdp.reward) + discount * after
    action_values = jnp.sum(jnp.asarray(mdp.probability) * targets, axis=-1)
    return jnp.where(terminal[:, None], 0, action_values).astype(jnp.float32)


def policy_evaluation(
    mdp: MDP,
    policy: Array,
    *,
    discount: float,
    tolerance: float = 1e-5,
    max_sweeps: int = 10_000,
) -> Array:
    """Iterative policy evaluation: the values of a policy.

    Without discount, the policy has to reach an end from every state: otherwise values
    grow until the sweeps are over.

    Args:
      mdp: Markov decision process.
      policy: Probability of each action, float [S, A], or the action, int [S].
      discount: Discount factor γ.
      tolerance: Largest change of a value in the last sweep.
      max_sweeps: Maximum number of sweeps over all states.

    Returns:
      Value of each state, float32 [S].

    Example:
      >>> from fdl import envs
      >>> walk = envs.mdps.random_walk(3)
      >>> policy_evaluation(walk, jnp.full((5, 2), 0.5), discount=1.0).round(2)
      Array([0.  , 0.25, 0.5 , 0.75, 0.  ], dtype=float32)

    References:
      Sutton and Barto, `Reinforcement Learning: An Introduction
      <http://incompleteideas.net/book/the-book-2nd.html>`_, 2018, chapter 4.
    """
    probability = _probability(mdp, policy)

    def sweep(values):
        action_values = expected_updates(mdp, values, discount=discount)
        return jnp.sum(probability * action_values, axis=1)

    values = jnp.zeros(len(mdp.terminal), jnp.float32)
    return _fixed_point(sweep, values, tolerance, max_sweeps)[0]


def value_iteration(
    mdp: MDP, *, discount: float, tolerance: float = 1e-5, max_sweeps: int = 10_000
) -> Solution:
    """Value iteration: the optimal values, and a policy that reaches them.

    Args:
      mdp: Markov decision process.
      discount: Discount factor γ.
      tolerance: Largest change of a value in the last sweep.
      max_sweeps: Maximum number of sweeps over all states.

    Returns:
      Optimal values and an optimal policy: of actions that are alike, the first.

    Example:
      >>> from fdl import envs
      >>> solution = value_iteration(envs.mdps.cliff(), discount=1.0)
      >>> solution.values[36]  # Up, eleven to the right, down.
      Array(-13., dtype=float32)
    """

    def sweep(values):
        return expected_updates(mdp, values, discount=discount).max(axis=1)

    values = jnp.zeros(len(mdp.terminal), jnp.float32)
    values, residual, count = _fixed_point(sweep, values, tolerance, max_sweeps)
    action_values = expected_updates(mdp, values, discount=discount)
    policy = action_values.argmax(axis=1).astype(jnp.int32)
    return Solution(values, policy, residual, count)


def policy_iteration(
    mdp: MDP, *, discount: float, tolerance: float = 1e-5, max_sweeps: int = 10_000
) -> Solution:
    """Policy iteration: evaluates a policy, makes it greedy, until it stays the same.

    It begins with the policy that takes all actions alike. An action is changed only
    for one that is better by more than the tolerance, so that rounding makes no policy
    go round in circles.

    Args:
      mdp: Markov decision process.
      discount: Discount factor γ.
      tolerance: Largest change of a value in the last sweep of an evaluation.
      max_sweeps: Maximum number of sweeps of an evaluation.

    Returns:
      Optimal policy and its values; ``num_sweeps`` counts policies, and ``residual`` is
      what a greedy change of the last one would gain.
    """
    num_states, num_actions, _ = mdp.probability.shape
    margin = 10 * tolerance

    def evaluate(policy):
        values = policy_evaluation(
            mdp, policy, discount=discount, tolerance=tolerance, max_sweeps=max_sweeps
        )
        return values, expected_updates(mdp, values, discount=discount)

    def improve(solution):
        values, action_values = evaluate(solution.policy)
        current = jnp.take_along_axis(action_values, solution.policy[:, None], axis=1)
        gain = action_values.max(axis=1) - current.squeeze(1)
        better = action_values.argmax(axis=1).astype(jnp.int32)
        policy = jnp.where(gain > margin, better, solution.policy)
        return Solution(values, policy, gain.max(), solution.num_sweeps + 1)

    # There are finitely many policies, each better than the one before.
    values, action_values = evaluate(
        jnp.full((num_states, num_actions), 1 / num_actions)
    )
    policy = action_values.argmax(axis=1).astype(jnp.int32)
    start = Solution(values, policy, jnp.float32(jnp.inf), jnp.int32(0))
    return jax.lax.while_loop(lambda s: s.residual > margin, improve, start)


def _probability(mdp: MDP, policy: Array) -> Array:
    """Probability of each action, float32 [S, A], of a policy in either form."""
    num_states, num_actions, _ = mdp.probability.shape
    policy = jnp.asarray(policy)
    if policy.ndim == 1:
        chex.assert_type(policy, int)
        policy = jax.nn.one_hot(policy, num_actions)
    chex.assert_shape(policy, (num_states, num_actions))
    return policy.astype(jnp.float32)


def _fixed_point(
    sweep: Callable[[Array], Array], values: Array, tolerance: float, max_sweeps: int
) -> tuple[Array, Array, Array]:
    """Values that a sweep leaves as they are, their last change, and the sweeps."""

    def unfinished(carry):
        _, change, count = carry
        return (change > tolerance) & (count < max_sweeps)

    def repeat(carry):
        values, _, count = carry
        after = sweep(values)
        return after, jnp.abs(after - values).max(), count + 1

    start = values, jnp.float32(jnp.inf), jnp.int32(0)
    return jax.lax.while_loop(unfinished, repeat, start)
