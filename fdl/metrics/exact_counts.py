"""Sums of weights that stay exact beyond the integers of float32 and int32."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from fdl.types import Array

# Values that `segment_sum` adds one after the other, as far as its memory allows: at
# most 2²² partial sums, 16 MiB of float32, and no more than there are values.
VALUES_IN_A_ROW = 2**10
MAX_PARTIAL_SUMS = 2**22


class Counts(NamedTuple):
    """Sums of weights, exact for integral weights, also beyond 2³¹.

    A float32 holds consecutive integers up to 2²⁴ only: adding one more is lost. So the
    integral part ⌊w⌋ of each weight is summed as an integer and the fractional part as
    a float. The integer wraps, and holds the sum modulo 2³²; the same sum in float32
    tells the multiple of 2³² that it lacks, as that which brings both nearest. It is
    the right one unless rounding has cost the float 2³¹ or more, and then the error is
    at most twice that of the float.

    If weights are zero or one, as for padding, the fractional part is zero and sums do
    not depend on their order.

    Attributes:
      whole: Sums of integral parts modulo 2³², int32 [...].
      rest: Sums of fractional parts, float32 [...]; NaN if an invalid value has a
        weight.
      approximate: Sums of integral parts, rounded, float32 [...].

    Example:
      >>> many = Counts(jnp.int32(2**24), jnp.float32(0), jnp.float32(2**24))
      >>> one = Counts(jnp.int32(1), jnp.float32(0), jnp.float32(1))
      >>> jax.tree.map(jnp.add, many, one).whole
      Array(16777217, dtype=int32)
    """

    whole: Array
    rest: Array
    approximate: Array

    def value(self) -> Array:
        """Sums, float32 [...], rounded where they are larger than 2²⁴."""
        # The difference wraps like both of its operands, and is small.
        error = self.whole - modulo(self.approximate)
        return self.approximate + error.astype(jnp.float32) + self.rest

    def sum(self) -> "Counts":
        """Sums over the last axis."""
        return Counts(*(x.sum(axis=-1) for x in self))

    def minus(self, other: "Counts") -> "Counts":
        """Difference of counts, exact where both are."""
        return Counts(*(x - y for x, y in zip(self, other, strict=True)))


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
        segment_sum(modulo(whole), groups, num_groups),
        segment_sum(weights - whole, groups, num_groups),
        segment_sum(whole, groups, num_groups),
    )


@jax.jit
def modulo(values: Array) -> Array:
    """Integral numbers modulo 2³², float32 [...] to int32 [...]."""
    # Division by a power of two and this remainder are exact, of a positive number.
    size = jnp.abs(values)
    remainder = size - jnp.floor(size / 2.0**32) * 2.0**32
    integer = remainder.astype(jnp.uint32).astype(jnp.int32)
    return jnp.where(values < 0, -integer, integer)


def segment_sum(values: Array, groups: Array, num_groups: int) -> Array:
    """Sums of values by group, int32 or float32 [num_groups].

    Added one after the other, a million float32 of 0.1 make one percent too much, and
    ones stop at 2²⁴. So each group has several partial sums.

    Args:
      values: Values, int32 or float32 [...].
      groups: Group indices, int [...]; values of the group `num_groups` are left out.
      num_groups: Number of groups.
    """
    values, groups = values.reshape(-1), groups.reshape(-1)
    most = min(groups.size, MAX_PARTIAL_SUMS)
    parts = min(groups.size // VALUES_IN_A_ROW, most // num_groups)
    if parts < 2 or jnp.issubdtype(values.dtype, jnp.integer):
        # JAX drops segments that are out of range, such as the group of invalid values.
        return jax.ops.segment_sum(values, groups, num_groups)
    cells = groups * parts + jnp.arange(groups.size, dtype=jnp.int32) % parts
    sums = jax.ops.segment_sum(values, cells, num_groups * parts)
    return sums.reshape(num_groups, parts).sum(axis=-1)


def nan_if_invalid(counts: Counts, valid: Array, weights: Array) -> Counts:
    """Makes counts NaN if an invalid value has a weight.

    Args:
      counts: Counts [...].
      valid: True for valid values, bool [B, ...].
      weights: Weights of the values, float32 [B, ...].
    """
    broken = jnp.any(~valid & (weights > 0))
    return counts._replace(rest=jnp.where(broken, jnp.nan, counts.rest))
