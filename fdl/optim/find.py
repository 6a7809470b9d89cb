"""Parts of an optimizer's state, found by their type."""

from typing import TypeVar

import jax
import optax

Part = TypeVar("Part")


def find(state: optax.OptState, kind: type[Part]) -> Part | None:
    """The outermost part of a type, or None; of several, the first."""
    parts = jax.tree.leaves(state, is_leaf=lambda part: isinstance(part, kind))
    return next((part for part in parts if isinstance(part, kind)), None)
