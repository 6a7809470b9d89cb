"""Sum tree: sampling in proportion to weights that change."""

import jax.numpy as jnp

from fdl.types import Array

# Children of a node: as many as a cache line holds, since reading scattered ones is
# what a large tree costs.
FAN_OUT = 16

# Levels from below the root to the weights, float32 [16], [256], ...; the children of
# node i are those from 16 i on, and a node is their sum.
SumTree = tuple[Array, ...]


def init_sum_tree(size: int) -> SumTree:
    """Sum tree of weights of zero.

    Args:
      size: Number of weights; there are leaves for the next power of 16.
    """
    sizes = [FAN_OUT]
    while sizes[-1] < size:
        sizes.append(FAN_OUT * sizes[-1])
    return tuple(map(jnp.zeros, sizes))


def set_weights(tree: SumTree, index: Array, weight: Array) -> SumTree:
    """Sum tree with other weights, in O(B log P).

    Args:
      tree: Sum tree of P weights.
      index: Indices of weights, int32 [B]; negative ones are ignored. Equal ones are to
        have equal weights.
      weight: New weights, at least zero, float [B].
    """
    levels = []
    for level in reversed(tree):
        # Scatters drop what is out of range, but count negative indices from the end.
        target = jnp.where(index < 0, level.size, index)
        level = level.at[target].set(weight, mode="drop")
        levels.append(level)
        index = jnp.where(index < 0, index, index // FAN_OUT)
        # Sums are taken anew, since differences would add up their rounding.
        weight = level.reshape(-1, FAN_OUT)[index].sum(axis=1)
    return tuple(reversed(levels))


def find(tree: SumTree, mass: Array) -> tuple[Array, Array]:
    """Weights at which their cumulative sum exceeds a mass.

    Args:
      tree: Sum tree of weights that are not all zero.
      mass: Numbers from zero to the sum of all weights, float [B].

    Returns:
      Indices, int32 [B], and the weights there, which are positive, float32 [B].
      Uniform masses are sampled in proportion to weights.
    """
    node, weight = jnp.zeros(mass.shape, jnp.int32), mass
    for level in tree:
        children = level.reshape(-1, FAN_OUT)[node]
        ends = jnp.cumsum(children, axis=1)
        # Rounding may leave more mass than there is: the last child with a weight.
        last = (ends < ends[:, -1:]).sum(axis=1)
        child = jnp.minimum((ends <= mass[:, None]).sum(axis=1), last)
        chosen = jnp.arange(len(child)), child
        mass = mass - (ends - children)[chosen]
        weight = children[chosen]
        node = FAN_OUT * node + child
    return node, weight


def total(tree: SumTree) -> Array:
    """Sum of all weights, float32 []."""
    return tree[0].sum()
