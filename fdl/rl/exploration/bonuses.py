"""Exploration bonuses: rewards for observations that are new."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fdl.errors import UserError, check_positive
from fdl.rl.rollout import Transition
from fdl.types import Array, Key, Spec, State


class Bonus(NamedTuple):
    """Exploration bonus, as pure functions of its state.

    `on_policy` and `off_policy` update it with what the actions of a rollout led to,
    and then add to each reward the bonus of the observation after it. Returns of
    episodes are measured without.

    Attributes:
      init: ``init(key) -> state``.
      update: ``update(state, observation, key) -> state``, which has seen more
        observations, [B, ...].
      reward: ``reward(state, observation)``, the bonus of each, float [B].
    """

    init: Callable[[Key], State]
    update: Callable[[State, Array, Key], State]
    reward: Callable[[State, Array], Array]


def count_bonus(
    cells: Callable[[Array], Array], num_cells: int, *, scale: float | Array = 1.0
) -> Bonus:
    """Count-based bonus: ``scale / √n`` of an observation that was made n times.

    Args:
      cells: ``cells(observation)``, the number of the cell that each is counted in,
        int [B], such as `grid_cells`. A number that is none from 0 to ``num_cells - 1``
        counts as the nearest of these.
      num_cells: Number of cells.
      scale: Bonus of what is seen for the first time.

    Raises:
      UserError: ``num_cells`` is below 1.

    Example:
      >>> bonus = count_bonus(lambda observation: observation, 3)
      >>> key = jax.random.key(0)
      >>> state = bonus.update(bonus.init(key), jnp.array([2, 0, 2, 2, 2]), key)
      >>> bonus.reward(state, jnp.array([0, 2]))
      Array([1. , 0.5], dtype=float32)

    References:
      Strehl and Littman, `An Analysis of Model-based Interval Estimation for Markov
      Decision Processes <https://doi.org/10.1016/j.jcss.2007.08.009>`_, 2008.
    """
    check_positive(num_cells=num_cells)

    def cell_of(observation):
        return jnp.clip(cells(observation), 0, num_cells - 1)

    def init(key):
        del key
        return jnp.zeros(num_cells, jnp.int32)

    def update(counts, observation, key):
        del key
        return counts.at[cell_of(observation)].add(1)

    def reward(counts, observation):
        # Of what was never seen, as if it were seen now.
        return scale / jnp.sqrt(jnp.maximum(counts[cell_of(observation)], 1))

    return Bonus(init, update, reward)


def grid_cells(
    observation: Spec, num_bins: int | Sequence[int]
) -> Callable[[Array], Array]:
    """Function of observations to the number of their cell in a regular grid.

    Args:
      observation: Specification of an observation, ``env.observation``, [D], with
        bounds.
      num_bins: Number of cells along each element. There are so many cells as their
        product.

    Returns:
      ``cells(observation)``, int32 [B]; the last element varies fastest. What lies out
      of bounds is in the cell next to it.

    Raises:
      UserError: Observations have no bounds, are no vector, or have another number of
        elements.

    Example:
      >>> from fdl import envs
      >>> cells = grid_cells(envs.box((2,), -1, 1), (4, 10))
      >>> cells(jnp.array([[-1.0, -1.0], [-0.4, 0.95]]))
      Array([ 0, 19], dtype=int32)
    """
    low, high = (
        np.asarray(x, np.float32) for x in (observation.minimum, observation.maximum)
    )
    if low.ndim != 1 or not (np.isfinite(low) & np.isfinite(high)).all():
        raise UserError(
            f"observation {[*low.shape]} from {low} to {high}: expected a vector with "
            "finite bounds"
        )
    sizes = np.atleast_1d(np.asarray(num_bins, np.int32))
    if len(sizes) not in (1, len(low)):
        raise UserError(f"num_bins={num_bins}: expected {len(low)} numbers")
    check_positive(num_bins=int(sizes.min()))
    sizes = np.broadcast_to(sizes, low.shape)
    width = (high - low) / sizes

    def cells(x):
        places = jnp.floor((x - low[None]) / width[None]).astype(jnp.int32)
        places = jnp.clip(places, 0, sizes[None] - 1)
        return jnp.ravel_multi_index(tuple(places.T), tuple(sizes), mode="clip")

    return cells


def update_bonus(
    bonus: Bonus, state: State, transitions: Transition, key: Key
) -> State:
    """State of a bonus that has seen what the actions of a rollout led to.

    Args:
      bonus: Exploration bonus.
      state: Its state.
      transitions: Transitions of the rollout, [T, N, ...].
      key: Key of the rollout, which was split into T.
    """
    seen = jax.lax.collapse(transitions.next_observation, 0, 2)
    return bonus.update(state, seen, jax.random.fold_in(key, len(transitions.reward)))
