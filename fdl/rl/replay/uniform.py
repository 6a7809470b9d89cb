"""Replay memory: past transitions, to learn from again."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from fdl.errors import UserError, check_positive, check_probability
from fdl.rl.rollout import Transition
from fdl.types import Array, Key, State


class Replay(NamedTuple):
    """Replay memory, as pure functions of its state.

    A sampled batch has ``observation`` and ``action``, the sum ``reward`` of the
    discounted rewards of n steps, float [B], the ``next_observation`` after them, the
    ``discount`` of its value, γⁿ or zero after a terminal state, float [B], the
    importance ``weight``, float [B], and the ``index`` in the memory, int32 [B].

    Attributes:
      init: ``init(transition) -> state``, an empty memory of such transitions, [N,
        ...], or their shapes.
      add: ``add(state, transitions) -> state``, with the transitions of a rollout, [T,
        N, ...], in place of the oldest ones.
      sample: ``sample(state, batch_size, key) -> batch``, drawn with replacement.
      update: ``update(state, index, priority) -> state``, with the priorities, float
        [B], of a batch; of negative indices, there is none. None of a uniform
        memory, which has no priorities.
      size: ``size(state)``, the number of transitions in it, int32 [].
      capacity: Number of transitions that it holds.
    """

    init: Callable[[Transition], State]
    add: Callable[[State, Transition], State]
    sample: Callable[[State, int, Key], dict[str, Array]]
    update: Callable[[State, Array, Array], State] | None
    size: Callable[[State], Array]
    capacity: int


class Ring(NamedTuple):
    """Ring of the latest transitions of N environments.

    Attributes:
      num_added: Number of steps that were added, int32 []; the next one is written into
        row ``num_added % R``.
      data: Transitions, [R, N, ...]. A column is an environment: what follows a row is
        its next step, or the beginning of its next episode.
    """

    num_added: Array
    data: Transition


def uniform_replay(capacity: int, *, discount: float, num_steps: int = 1) -> Replay:
    """Replay memory that is sampled uniformly, with replacement.

    Adding and sampling take a time that does not depend on the capacity.

    Args:
      capacity: Number of transitions; a multiple of the number of environments.
      discount: Discount factor γ.
      num_steps: n of n-step returns; see `n_step`.

    Raises:
      UserError: A size is below 1, the discount is outside [0, 1], or, once they
        are known, the number of environments does not divide the capacity, or a rollout
        is larger than the memory.

    References:
      Lin, `Self-Improving Reactive Agents Based on Reinforcement Learning, Planning
      and Teaching <https://doi.org/10.1007/BF00992699>`_, 1992.
    """
    check_positive(capacity=capacity, num_steps=num_steps)
    check_probability(discount=discount)

    def sample(ring, batch_size, key):
        index = jax.random.randint(key, (batch_size,), 0, size_of(ring))
        batch = n_step(ring, index, discount=discount, num_steps=num_steps)
        return {**batch, "weight": jnp.ones(batch_size), "index": index}

    return Replay(
        lambda like: empty_ring(like, capacity), add, sample, None, size_of, capacity
    )


def empty_ring(transition: Transition, capacity: int) -> Ring:
    """Ring without transitions, for those of N environments.

    Args:
      transition: Transition of each environment, [N, ...], or its shapes.
      capacity: Number of transitions.

    Raises:
      UserError: N does not divide the capacity.
    """
    num_envs = transition.reward.shape[0]
    if capacity % num_envs:
        raise UserError(
            f"capacity={capacity}: expected a multiple of num_envs={num_envs}"
        )
    num_rows = capacity // num_envs
    data = jax.tree.map(lambda x: jnp.zeros((num_rows, *x.shape), x.dtype), transition)
    return Ring(jnp.zeros((), jnp.int32), data)


def rows_to_add(ring: Ring, num_steps: int) -> Array:
    """Rows that the next steps are written into, int32 [T].

    Raises:
      UserError: There are more steps than rows.
    """
    num_rows, num_envs = ring.data.reward.shape
    if num_steps > num_rows:
        raise UserError(
            f"capacity={num_rows * num_envs}: expected at least a rollout of "
            f"{num_steps} steps in {num_envs} environments"
        )
    return (ring.num_added + jnp.arange(num_steps)) % num_rows


def add(ring: Ring, transitions: Transition) -> Ring:
    """Ring with the transitions of a rollout, [T, N, ...], as `Replay.add`."""
    num_steps = len(transitions.reward)
    rows = rows_to_add(ring, num_steps)
    data = jax.tree.map(
        lambda old, new: old.at[rows].set(new, unique_indices=True),
        ring.data,
        transitions,
    )
    return Ring(ring.num_added + num_steps, data)


def size_of(ring: Ring) -> Array:
    """Number of transitions in a ring, int32 []."""
    num_rows, num_envs = ring.data.reward.shape
    return jnp.minimum(ring.num_added, num_rows) * num_envs


def n_step(
    ring: Ring, index: Array, *, discount: float, num_steps: int
) -> dict[str, Array]:
    """n-step returns from given transitions on, without the value after them.

    ``r_t + γ r_{t+1} + ... + γ^{k-1} r_{t+k-1}`` of k = n steps; fewer where the
    episode ends, or where the memory knows no more. The value of the next observation
    is to be multiplied with ``discount``: γᵏ, and zero after a terminal state, but not
    where an episode was cut off.

    Args:
      ring: Ring of transitions.
      index: Indices of transitions, ``row * N + environment``, int [B].
      discount: Discount factor γ.
      num_steps: Number of steps, n.

    Returns:
      ``observation`` and ``action``, ``reward``, ``next_observation`` and ``discount``,
      each [B, ...].

    References:
      Sutton and Barto, `Reinforcement Learning: An Introduction
      <http://incompleteideas.net/book/the-book-2nd.html>`_, 2018, section 7.1.
    """
    num_rows, num_envs = ring.data.reward.shape
    row, env = jnp.divmod(index, num_envs)
    age = (ring.num_added - 1 - row) % num_rows  # Steps from it to the newest one.
    ahead = jnp.arange(num_steps)[None]
    rows, envs = (row[:, None] + ahead) % num_rows, env[:, None]
    over = ring.data.terminated[rows, envs] | ring.data.truncated[rows, envs]
    # A step counts if none before it has ended the episode or is the newest one.
    last = over | (ahead == age[:, None])
    counts = jnp.cumsum(last, axis=1) - last == 0
    steps = counts.sum(axis=1)
    # Selected, and not multiplied by zero: the next episode may have a NaN.
    reward = jnp.where(counts, ring.data.reward[rows, envs], 0)
    reward = (discount**ahead * reward).sum(axis=1)
    final = rows[jnp.arange(len(index)), steps - 1]
    terminated = ring.data.terminated[final, env]
    return {
        "observation": ring.data.observation[row, env],
        "action": ring.data.action[row, env],
        "reward": reward,
        "next_observation": ring.data.next_observation[final, env],
        "discount": jnp.where(terminated, 0.0, discount**steps),
    }
