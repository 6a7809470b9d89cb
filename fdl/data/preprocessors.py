"""Preprocessing of batches on the device, made from data.

Each function returns ``preprocess(batch) -> batch``, which JAX traces: it is part of
the training step, of the evaluation and of an exported model. Arrays that it is not
about, such as labels and masks, stay as they are. A `Preprocessing` names one of these
functions, with arguments that JSON can hold.
"""

from collections.abc import Callable, Mapping

import jax.numpy as jnp

from fdl.data.statistics import is_finite
from fdl.errors import UserError, near
from fdl.types import Array, Batch

__all__ = ["identity", "scale"]

Preprocess = Callable[[Batch], Batch]


def identity() -> Preprocess:
    """Identity, for inputs that the model takes as the data has them."""
    return lambda batch: batch


def scale(factors: Mapping[str, float]) -> Preprocess:
    """Multiplication of arrays by constants; integers become float32.

    It is computed in float32 at least. Floats keep their dtype, so that images of half
    precision stay so, and are rounded once.

    Args:
      factors: Factor by name of the array.

    Raises:
      UserError: A factor is not a finite number; or, when it is traced, the batch has
        no such array.

    Example:
      >>> batch = {"image": jnp.array([0, 4, 16], jnp.uint8), "label": 7}
      >>> scale({"image": 1 / 16})(batch)["image"].tolist()
      [0.0, 0.25, 1.0]
    """
    if not isinstance(factors, Mapping):
        raise UserError(f"factors={factors!r:.50}: expected a mapping")
    for name, factor in factors.items():
        if not is_finite(factor):
            raise UserError(f"factors.{name}={factor!r:.50}: expected a finite number")

    def preprocess(batch: Batch) -> Batch:
        for name in factors:
            if name not in batch:
                raise UserError(f"{name!r}: expected an array. {near(name, batch)}")
        scaled = {name: _scaled(batch[name], x) for name, x in factors.items()}
        return {**batch, **scaled}

    return preprocess


def _scaled(array: Array, factor: float) -> Array:
    dtype = jnp.result_type(array)
    wide = jnp.promote_types(dtype, jnp.float32)
    scaled = jnp.asarray(array, wide) * factor
    return scaled.astype(dtype) if jnp.issubdtype(dtype, jnp.inexact) else scaled
