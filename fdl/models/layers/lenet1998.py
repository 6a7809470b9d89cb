"""Layers of the original LeNet-5 that modern variants leave out."""

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
    """Trainable 2×2 subsampling: window sums with a scale and a bias for each channel.

    Attributes:
      dtype: Dtype of the computation; that of inputs and parameters where None.
      param_dtype: Dtype of the parameters.
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
    """Partially connected convolution: each output channel has its own input channels.

    Attributes:
      table: Indices of the input channels of each output channel.
      kernel_size: Height and width of the kernel.
      dtype: Dtype of the computation; that of inputs and parameters where None.
      param_dtype: Dtype of the parameters.
    """

    table: Sequence[Sequence[int]]
    kernel_size: int
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps x [B, H, W, C] to [B, H - 4, W - 4, len(table)] for 5×5 kernels."""
        pairs = [(i, j) for j, row in enumerate(self.table) for i in row]
        inputs, outputs = np.array(pairs).T
        sizes = (self.kernel_size, self.kernel_size)
        # Output channels differ in their number of inputs, and so in their fan-in.
        fan_in = np.array([math.prod(sizes) * len(self.table[j]) for j in outputs])
        shape = (*sizes, len(pairs))
        kernel = self.param("kernel", fan_in_uniform(fan_in), shape, self.param_dtype)
        # Only connected pairs of channels have parameters. They are scattered into a
        # dense kernel of zeros, so that one convolution computes all of them.
        dense_shape = (*sizes, x.shape[-1], len(self.table))
        dense_kernel = jnp.zeros(dense_shape, kernel.dtype)
        dense_kernel = dense_kernel.at[:, :, inputs, outputs].set(kernel)
        bias = self.param(
            "bias", nn.initializers.zeros, (len(self.table),), self.param_dtype
        )
        convolve = conv(
            len(self.table), sizes, padding="VALID", dtype=self.dtype, parent=None
        )
        params = {"kernel": dense_kernel, "bias": bias}
        y: Any = convolve.apply({"params": params}, x)
        return y


def squash(x: Array) -> Array:
    """Scaled hyperbolic tangent of LeCun et al., 1.7159 tanh(2x/3).

    It maps ±1 to ±1, where its curvature is greatest (appendix A of the paper).
    """
    return 1.7159 * jnp.tanh(x * (2 / 3))


def fan_in_uniform(fan_in: ArrayLike) -> Initializer:
    """Uniform initialiser on ±2.4 / fan-in, as published.

    Args:
      fan_in: Number of inputs of a unit, or an array of them that broadcasts to the
        shape of the parameter.
    """

    def init(key, shape, dtype=jnp.float32, **options):
        del options  # Flax may pass a sharding.
        numbers = jax.random.uniform(key, shape, dtype, -1.0, 1.0)
        bounds = np.broadcast_to(2.4 / np.asarray(fan_in), shape)
        return numbers * jnp.asarray(bounds, dtype)

    return init
