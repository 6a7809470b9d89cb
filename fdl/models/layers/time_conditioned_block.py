"""Time-conditioned residual blocks of diffusion U-Nets."""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from fdl.models.layers.attention import Attention
from fdl.models.layers.conv import conv
from fdl.types import Array

# Xavier uniform, as in the original code of DDPM.
uniform = nn.initializers.variance_scaling(1.0, "fan_avg", "uniform")


class TimeBlock(nn.Module):
    """Residual block of DDPM with a time embedding and optional self-attention.

    Attributes:
      features: Number of output channels.
      num_heads: Number of heads of the self-attention between pixels after the
        convolutions; no attention where None.
      num_groups: Number of groups of the group normalisations.
      dropout: Dropout rate between the convolutions.
      dtype: Dtype of the computation; that of inputs and parameters where None.
      param_dtype: Dtype of the parameters.
    """

    features: int
    num_heads: int | None
    num_groups: int
    dropout: float
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: Array, time: Array, train: bool) -> Array:
        """Maps x [B, H, W, C] and time embedding [B, D] to [B, H, W, features]."""
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
        # With zeros in the last layer of a branch, a block is its shortcut at first.
        y = convolve(kernel_init=nn.initializers.zeros, name="conv2")(y)
        if x.shape != y.shape:
            x = conv(
                self.features, (1, 1), kernel_init=uniform, name="shortcut", **dtypes
            )(x)
        x = x + y
        if self.num_heads is None:
            return x
        tokens = jax.lax.collapse(norm(name="attention_norm")(x), 1, 3)
        attended = Attention(
            self.num_heads,
            kernel_init=uniform,
            out_init=nn.initializers.zeros,
            name="attention",
            **dtypes,
        )(tokens, train)
        return x + attended.reshape(x.shape)


def time_embedding(timesteps: Array, size: int) -> Array:
    """Sinusoidal embedding of diffusion times.

    Args:
      timesteps: int or float [B].
      size: Number of features, even.

    Returns:
      float [B, size]: the sines, then the cosines, at wavelengths from 2π to
      10,000 · 2π.
    """
    frequencies = np.geomspace(1, 1e-4, size // 2).astype(np.float32)
    angles = timesteps[:, None].astype(jnp.float32) * frequencies[None]
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)


def group_norm(num_groups: int, **options: Any) -> nn.GroupNorm:
    """Group normalisation with a two-pass variance, see `layer_norm`.

    Args:
      num_groups: Number of groups of channels.
      **options: Further attributes of `flax.linen.GroupNorm`.
    """
    return nn.GroupNorm(num_groups, use_fast_variance=False, **options)
