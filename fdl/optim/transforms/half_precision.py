"""Precision of sums over weights and over steps."""

import jax

from fdl.losses import half_precision
from fdl.types import PyTree


def at_least_float32(tree: PyTree) -> PyTree:
    """Tree with arrays of half precision cast to float32; wider ones are unchanged.

    In half precision, squares overflow, and a running sum stops growing once a term is
    below its rounding error.
    """
    return jax.tree.map(half_precision.at_least_float32, tree)
