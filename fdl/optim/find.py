"""Search for a part of an optimizer state by its type."""

from typing import TypeVar

import jax
import optax

Part = TypeVar("Part")


def find(state: optax.OptState, kind: type[Part]) -> Part | None:
    """First of the outermost parts of a type in an optimizer state, or None.

    Args:
      state: Optimizer state, of chains and wrappers of any depth.
      kind: Type of the part, such as a NamedTuple of a transformation.
    """
    # With the parts as leaves, the search ends at them and not at their arrays.
    parts = jax.tree.leaves(state, is_leaf=lambda part: isinstance(part, kind))
    return next((part for part in parts if isinstance(part, kind)), None)
