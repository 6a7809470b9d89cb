"""Prioritised replay memory."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from fdl.errors import check_nonnegative, check_positive, check_probability
from fdl.rl.replay.sum_tree import SumTree, find, init_sum_tree, set_weights, total
from fdl.rl.replay.uniform import (
    Replay,
    Ring,
    add,
    empty_ring,
    n_step,
    rows_to_add,
    size_of,
)
from fdl.types import Array

# Added to priorities, so that no transition is lost for ever.
EPSILON = 1e-6


class PrioritizedState(NamedTuple):
    """State of a prioritised replay memory.

    Attributes:
      ring: Transitions, [R, N, ...].
      tree: Sum tree of the priorities to the power of α.
      max_priority: Highest priority so far, float32 [].
    """

    ring: Ring
    tree: SumTree
    max_priority: Array


def prioritized_replay(
    capacity: int,
    *,
    discount: float,
    num_steps: int = 1,
    alpha: float = 0.6,
    beta: float | optax.Schedule = 0.4,
) -> Replay:
    """Replay memory that is sampled in proportion to priorities.

    A transition i has the probability P(i) = pᵢ^α / Σ pⱼ^α, and the importance weight
    (N P(i))^(-β), relative to the largest one of the batch, where N is their number.
    New transitions have the highest priority so far. Sampling is stratified: a batch
    of B has one of each B-th part of the probability. A sum tree makes sampling and
    updates O(B log N).

    Args:
      capacity: Number of transitions; a multiple of the number of environments.
      discount: Discount factor γ.
      num_steps: n of n-step returns; see `n_step`.
      alpha: α, how much priorities count; with zero, sampling is uniform.
      beta: β, how much of the bias is corrected, or a schedule of it, which is given
        the number of transitions that were added.

    Raises:
      UserError: A size is below 1, the discount is outside [0, 1], α or β is negative
        or, once they are known, the number of environments does not divide the
        capacity.

    References:
      Schaul et al., `Prioritized Experience Replay
      <https://arxiv.org/abs/1511.05952>`_, 2015.
    """
    check_positive(capacity=capacity, num_steps=num_steps)
    check_probability(discount=discount)
    check_nonnegative(alpha=alpha, beta=beta)

    def init(transition):
        ring = empty_ring(transition, capacity)
        return PrioritizedState(ring, init_sum_tree(capacity), jnp.ones(()))

    def add_rollout(state, transitions):
        shape = transitions.reward.shape
        rows = rows_to_add(state.ring, shape[0])
        index = (rows[:, None] * shape[1] + jnp.arange(shape[1])[None]).reshape(-1)
        weight = jnp.full(index.shape, state.max_priority**alpha)
        tree = set_weights(state.tree, index, weight)
        return state._replace(ring=add(state.ring, transitions), tree=tree)

    def sample(state, batch_size, key):
        tree, ring = state.tree, state.ring
        num_envs = ring.data.reward.shape[1]
        strata = jnp.arange(batch_size) + jax.random.uniform(key, (batch_size,))
        mass = total(tree)
        index, weight = find(tree, strata / batch_size * mass)
        share = weight / mass
        power = beta(ring.num_added * num_envs) if callable(beta) else beta
        weight = (size_of(ring) * share) ** -power
        batch = n_step(ring, index, discount=discount, num_steps=num_steps)
        return {**batch, "weight": weight / weight.max(), "index": index}

    def update(state, index, priority):
        priority = priority + EPSILON
        highest = jnp.where(index < 0, 0, priority).max()
        return state._replace(
            tree=set_weights(state.tree, index, priority**alpha),
            max_priority=jnp.maximum(state.max_priority, highest),
        )

    def size(state):
        return size_of(state.ring)

    return Replay(init, add_rollout, sample, update, size, capacity)
