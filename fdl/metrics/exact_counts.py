"""Counts that stay exact however many are merged."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from fdl.types import Array


class Counts(NamedTuple):
    """Sums of weights; of whole weights, exact up to 2³¹.

    A float32 counts only to 2²⁴: one more is lost. So the whole part ⌊w⌋ of each weight
    is summed as an integer and the rest as a float. Where weights are zero and one,
    as for padding, the rest is zero, and sums do not depend on their order.

    Attributes:
      whole: Int32 [...].
      rest: Float32 [...]; NaN if something that counts is not valid.

    Example:
      >>> many = Counts(jnp.int32(2**24), jnp.float32(0))
      >>> jax.tree.map(jnp.add, many, Counts(jnp.int32(1), jnp.float32(0))).whole
      Array(16777217, dtype=int32)
    """

    whole: Array
    rest: Array

    def value(self) -> Array:
        """The sums, float32 [...], rounded where they are larger than 2²⁴."""
        return self.whole.astype(jnp.float32) + self.rest

    def sum(self) -> "Counts":
        """The sums over the last axis."""
        return Counts(self.whole.sum(axis=-1), self.rest.sum(axis=-1))

    def minus(self, other: "Counts") -> "Counts":
        """The difference, exact where both are."""
        return Counts(self.whole - other.whole, self.rest - other.rest)


def count(groups: Array, weights: Array, num_groups: int) -> Counts:
    """Adds up weights by group.

    Args:
      groups: Int [...], from 0 to `num_groups`; what is of the last is left out.
      weights: Float32 [...].
      num_groups: How many groups there are.

    Returns:
      Counts [num_groups].
    """
    whole = jnp.floor(weights)
    return Counts(
        _segment_sum(whole.astype(jnp.int32), groups, num_groups),
        _segment_sum(weights - whole, groups, num_groups),
    )


def spoil(counts: Counts, valid: Array, weights: Array) -> Counts:
    """Makes counts NaN if anything that has a weight is not valid."""
    broken = jnp.any(~valid & (weights > 0))
    return counts._replace(rest=jnp.where(broken, jnp.nan, counts.rest))


def _segment_sum(values, groups, num_groups):
    return jax.ops.segment_sum(values.reshape(-1), groups.reshape(-1), num_groups)
