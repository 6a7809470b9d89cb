"""Layers of LeNet-5 as it was: everything in them that is left out today."""

import math
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.typing import Initializer
from jax.typing import DTypeLike
from numpy.typing import ArrayLike

from fdl.models.layers.conv import conv
from fdl.types import Array


class Subsampling(nn.Module):
    """Sums squares of four pixels; each map has a scale and a bias.

    Attributes:
      dtype: What is computed in; that of inputs and parameters where None.
      param_dtype: What parameters are stored in.
    """

    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps x [B, H, W, C] to [B, H / 2, W / 2, C]."""
        b, h, w, c = x.shape
        scale = self.param("scale", fan_in_uniform(4), (c,), self.param_dtype)
        bias = self.param("bias", nn.initializers.zeros, (c,), self.param_dtype)
        x, scale, bias = nn.dtypes.promote_dtype(x, scale, bias, dtype=self.dtype)
        sums = x.reshape(b, h // 2, 2, w // 2, 2, c).sum(axis=(2, 4))
        return sums * scale[None, None, None] + bias[None, None, None]


class TableConv(nn.Module):
    """A convolution whose maps see only some of those before.

    Attributes:
      table: What each map sees, by number.
      kernel_size: Height and width of a kernel.
      dtype: What is computed in; that of inputs and parameters where None.
      param_dtype: What parameters are stored in.
    """

    table: Sequence[Sequence[int]]
    kernel_size: int
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps x [B, H, W, C] to [B, H - 4, W - 4, len(table)] for 5×5 kernels."""
        pairs = [(i, j) for j, row in enumerate(self.table) for i in row]
        seen, maps = np.array(pairs).T
        sizes = (self.kernel_size, self.kernel_size)
        fan_in = np.array([math.prod(sizes) * len(self.table[j]) for j in maps])
        shape = (*sizes, len(pairs))
        kernel = self.param("kernel", fan_in_uniform(fan_in), shape, self.param_dtype)
        whole = (*sizes, x.shape[-1], len(self.table))
        kernel = jnp.zeros(whole, kernel.dtype).at[:, :, seen, maps].set(kernel)
        bias = self.param(
            "bias", nn.initializers.zeros, (len(self.table),), self.param_dtype
        )
        convolve = conv(
            len(self.table), sizes, padding="VALID", dtype=self.dtype, parent=None
        )
        outputs: Any = convolve.apply({"params": {"kernel": kernel, "bias": bias}}, x)
        return outputs


def squash(x: Array) -> Array:
    """1.7159 tanh(2x/3): ±1 at ±1, where it bends most (appendix A)."""
    return 1.7159 * jnp.tanh(x * (2 / 3))


def fan_in_uniform(fan_in: ArrayLike) -> Initializer:
    """Between -2.4 and 2.4 over what a unit sees, as published."""

    def init(key, shape, dtype=jnp.float32, **options):
        del options  # Flax's initialisers take where an array shall lie.
        numbers = jax.random.uniform(key, shape, dtype, -1.0, 1.0)
        bounds = np.broadcast_to(2.4 / np.asarray(fan_in), shape)
        return numbers * jnp.asarray(bounds, dtype)

    return init
