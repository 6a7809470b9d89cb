"""The precision that sums over weights and steps are computed in."""

import jax

from fdl.losses import half_precision
from fdl.types import PyTree


def at_least_float32(tree: PyTree) -> PyTree:
    """The arrays as float32; float64 stays.

    In half precision squares overflow, and what is added up over steps stands still.
    """
    return jax.tree.map(half_precision.at_least_float32, tree)
