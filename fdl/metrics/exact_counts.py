"""Sums of weights that stay exact beyond the integers of float32."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from fdl.types import Array


class Counts(NamedTuple):
    """Sums of weights, exact up to 2³¹ for integral weights.

    A float32 holds consecutive integers up to 2²⁴ only: adding one more is lost. So the
    integral part ⌊w⌋ of each weight is summed as an integer and the fractional part as
    a float. If weights are zero or one, as for padding, the fractional part is zero and
    sums do not depend on their order.

    Attributes:
      whole: Sums of integral parts, int32 [...].
      rest: Sums of fractional parts, float32 [...]; NaN if an invalid value has a
        weight.

    Example:
      >>> many = Counts(jnp.int32(2**24), jnp.float32(0))
      >>> jax.tree.map(jnp.add, many, Counts(jnp.int32(1), jnp.float32(0))).whole
      Array(16777217, dtype=int32)
    """

    whole: Array
    rest: Array

    def value(self) -> Array:
        """Sums, float32 [...], rounded where they are larger than 2²⁴."""
        return self.whole.astype(jnp.float32) + self.rest

    def sum(self) -> "Counts":
        """Sums over the last axis."""
        return Counts(self.whole.sum(axis=-1), self.rest.sum(axis=-1))

    def minus(self, other: "Counts") -> "Counts":
        """Difference of counts, exact where both are."""
        return Counts(self.whole - other.whole, self.rest - other.rest)


def count(groups: Array, weights: Array, num_groups: int) -> Counts:
    """Sums of weights by group.

    Args:
      groups: Group indices, int [...]; weights of the group `num_groups`, one after the
        last, are left out.
      weights: Weights, float32 [...].
      num_groups: Number of groups.

    Returns:
      Counts [num_groups].
    """
    whole = jnp.floor(weights)
    return Counts(
        _segment_sum(whole.astype(jnp.int32), groups, num_groups),
        _segment_sum(weights - whole, groups, num_groups),
    )


def nan_if_invalid(counts: Counts, valid: Array, weights: Array) -> Counts:
    """Makes counts NaN if an invalid value has a weight.

    Args:
      counts: Counts [...].
      valid: True for valid values, bool [B, ...].
      weights: Weights of the values, float32 [B, ...].
    """
    broken = jnp.any(~valid & (weights > 0))
    return counts._replace(rest=jnp.where(broken, jnp.nan, counts.rest))


def _segment_sum(values, groups, num_groups):
    # JAX drops segments that are out of range, such as the group of invalid values.
    return jax.ops.segment_sum(values.reshape(-1), groups.reshape(-1), num_groups)
