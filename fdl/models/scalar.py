"""Scalar parameter as a model."""

import jax.numpy as jnp

from fdl.types import Model


def scalar(value: float = 0.0) -> Model:
    """Model of one trainable number without inputs, such as a temperature.

    Args:
      value: Initial value.

    Example:
      >>> import jax
      >>> model = scalar(0.5)
      >>> model.apply(model.init(jax.random.key(0)))[0]
      Array(0.5, dtype=float32)
    """

    def init(key):
        del key  # Nothing is random here.
        return {"params": {"value": jnp.asarray(value, jnp.float32)}}

    def apply(variables, *, key=None, train=False):
        del key, train
        return variables["params"]["value"], {}

    return Model(init, apply)
