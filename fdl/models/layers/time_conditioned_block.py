"""Residual blocks that know the time, as U-Nets of diffusion models have them."""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from fdl.models.layers.attention import Attention
from fdl.models.layers.conv import conv
from fdl.types import Array

uniform = nn.initializers.variance_scaling(1.0, "fan_avg", "uniform")


class TimeBlock(nn.Module):
    """Two convolutions that know the time, and what they add to; attention, if asked.

    Attributes:
      features: Channels of the output.
      num_heads: Heads of the attention between all pixels; none where None.
      num_groups: Groups of channels that are normalised together.
      dropout: Fraction of the features between the convolutions that is dropped.
      dtype: What is computed in; that of inputs and parameters where None.
      param_dtype: What parameters are stored in.
    """

    features: int
    num_heads: int | None
    num_groups: int
    dropout: float
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: Array, time: Array, train: bool) -> Array:
        """Maps x [B, H, W, C] and time [B, D] to [B, H, W, features]."""
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        norm = functools.partial(group_norm, self.num_groups, **dtypes)
        convolve: Callable[..., nn.Module] = functools.partial(
            conv, self.features, (3, 3), padding=1, **dtypes
        )
        y = nn.silu(norm(name="norm1")(x))
        y = convolve(kernel_init=uniform, name="conv1")(y)
        shift = nn.Dense(self.features, kernel_init=uniform, name="time", **dtypes)
        y = y + shift(nn.silu(time))[:, None, None]
        y = nn.silu(norm(name="norm2")(y))
        y = nn.Dropout(self.dropout, deterministic=not train)(y)
        # Each block begins as its shortcut.
        y = convolve(kernel_init=nn.initializers.zeros, name="conv2")(y)
        if x.shape != y.shape:
            x = conv(
                self.features, (1, 1), kernel_init=uniform, name="shortcut", **dtypes
            )(x)
        x = x + y
        if self.num_heads is None:
            return x
        tokens = norm(name="attention_norm")(x).reshape(x.shape[0], -1, self.features)
        attended = Attention(
            self.num_heads,
            kernel_init=uniform,
            out_init=nn.initializers.zeros,
            name="attention",
            **dtypes,
        )(tokens, train)
        return x + attended.reshape(x.shape)


def time_embedding(timesteps: Array, size: int) -> Array:
    """Sines and cosines of the time, at wavelengths from 2π to 10,000 · 2π.

    Args:
      timesteps: int or float [B].
      size: Even.

    Returns:
      float [B, size]: all sines, and then all cosines.
    """
    rates = np.geomspace(1, 1e-4, size // 2).astype(np.float32)
    angles = timesteps[:, None].astype(jnp.float32) * rates[None]
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)


def group_norm(num_groups: int, **options: Any) -> nn.GroupNorm:
    """A `flax.linen.GroupNorm` that is exact also where the mean is large.

    Args:
      num_groups: Groups of channels that are normalised together.
      **options: All others of `flax.linen.GroupNorm`.
    """
    return nn.GroupNorm(num_groups, use_fast_variance=False, **options)
