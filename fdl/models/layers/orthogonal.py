"""Orthogonal initialisation in any floating-point dtype."""

from typing import Any

import jax
import jax.numpy as jnp
from flax.typing import Initializer
from jax.typing import DTypeLike

from fdl.types import Array, Key


def orthogonal(scale: float = 1.0) -> Initializer:
    """Orthogonal initialiser that also supports half precision.

    Matrices of several keys are decomposed one by one under `jax.vmap`. In float32 and
    float64 it equals `jax.nn.initializers.orthogonal`, which raises for
    bfloat16 and float16, as the QR decomposition does. Those kernels are drawn in
    float32 and rounded.

    Args:
      scale: Singular values of the kernel.

    Returns:
      Initialiser ``init(key, shape, dtype)`` of kernels with two or more axes.

    Example:
      >>> import jax
      >>> kernel = orthogonal()(jax.random.key(0), (3, 3), "bfloat16")
      >>> kernel.dtype, (kernel @ kernel.T).round(1).tolist()[0]
      (dtype(bfloat16), [1.0, 0.0, 0.0])

    References:
      Saxe et al., `Exact solutions to the nonlinear dynamics of learning in deep linear
      neural networks <https://arxiv.org/abs/1312.6120>`_, 2013.
    """
    exact = jax.nn.initializers.orthogonal(scale)

    def init(key: Key, shape: Any, dtype: DTypeLike = "float32") -> Array:
        # On CPUs a batched decomposition waits for threads of the pool that it runs in:
        # as many of them at once as there are threads wait for ever.
        @jax.custom_batching.sequential_vmap
        def draw(key):
            return exact(key, shape, jnp.promote_types(dtype, jnp.float32))

        return draw(key).astype(dtype)

    return init
