"""Encoders of observations for policies and value functions."""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Initializer
from jax.typing import DTypeLike

from fdl.errors import UserError
from fdl.models.layers import conv
from fdl.models.mlp import normalise
from fdl.types import Array

# Constructor of an encoder, called with `name=...`.
ObservationEncoder = Callable[..., nn.Module]

# PyTorch's default, U(±1/√fan_in), with which most published agents were trained.
uniform = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


class ConvEncoder(nn.Module):
    """Convolutional encoder of observations: unpadded convolutions, then flattening.

    Observations of dtype uint8 are divided by 255, booleans become 0 and 1, and floats
    are unchanged.

    Attributes:
      features: Number of output channels of each convolution.
      kernel_sizes: Height and width of the kernel of each convolution.
      strides: Stride of each convolution.
      norm: Constructor of the normalisation before each activation, such as
        `flax.linen.LayerNorm`, which is over the channels; none if None.
      activation: Activation after each convolution.
      kernel_init: Initialiser of the kernels; PyTorch's default by default.
      input_shape: Shape of an observation of `example`.
      dtype: Dtype of the computation; that of parameters where None.
      param_dtype: Dtype of the parameters.
    """

    features: Sequence[int]
    kernel_sizes: Sequence[int]
    strides: Sequence[int]
    norm: Callable[..., nn.Module] | None = None
    activation: Callable[[Array], Array] = nn.relu
    kernel_init: Initializer = uniform
    input_shape: Sequence[int] = (84, 84, 4)
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, observation: Array, *, train: bool = False) -> Array:
        """Maps observations [B, H, W, C] to features, float [B, D]."""
        if observation.ndim != 4:
            shape = [*observation.shape]
            raise UserError(f"observation {shape}: expected [B, H, W, C]")
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        x = as_float(observation)
        sizes = zip(self.features, self.kernel_sizes, self.strides, strict=True)
        for i, (size, kernel, stride) in enumerate(sizes):
            x = conv(
                size,
                (kernel, kernel),
                strides=stride,
                padding="VALID",
                kernel_init=self.kernel_init,
                name=f"conv_{i}",
                **dtypes,
            )(x)
            if self.norm is not None:
                x = normalise(self.norm(name=f"norm_{i}", **dtypes), x, train=train)
            x = self.activation(x)
        return jax.lax.collapse(x, 1)

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Shape and dtype of a batch of one observation of `input_shape`."""
        return (jax.ShapeDtypeStruct((1, *self.input_shape), jnp.float32),)


def nature_encoder(**options: Any) -> ConvEncoder:
    """Convolutional encoder of the Nature DQN; 77,984 parameters.

    Observations are the last four frames as channels, uint8 [B, 84, 84, 4]. In the
    paper, a hidden layer of 512 units follows.

    Args:
      **options: Further attributes of the encoder.

    References:
      Mnih et al., `Human-level Control through Deep Reinforcement Learning
      <https://doi.org/10.1038/nature14236>`_, 2015.
    """
    return ConvEncoder((32, 64, 64), (8, 4, 3), (4, 2, 1), **options)


def minatar_encoder(**options: Any) -> ConvEncoder:
    """Convolutional encoder of MinAtar's agents; 592 parameters for four channels.

    Observations have a channel for each kind of object, bool [B, 10, 10, C]. In the
    paper, a hidden layer of 128 units follows.

    Args:
      **options: Further attributes of the encoder.

    References:
      Young and Tian, `MinAtar: An Atari-Inspired Testbed for Thorough and Reproducible
      Reinforcement Learning Experiments <https://arxiv.org/abs/1903.03176>`_, 2019.
    """
    return ConvEncoder((16,), (3,), (1,), **{"input_shape": (10, 10, 4), **options})


def encode(
    encoder: ObservationEncoder | None,
    observation: Array,
    name: str,
    *,
    train: bool,
    **dtypes: Any,
) -> Array:
    """Encodes observations as features, float [B, D]; flattens them without an encoder.

    Args:
      encoder: Constructor of the encoder, or None.
      observation: Observations, [B, ...].
      name: Name of the encoder's submodule.
      train: Whether the encoder is in training mode.
      **dtypes: Attributes ``dtype`` and ``param_dtype`` of the encoder.
    """
    if encoder is None:
        return jax.lax.collapse(as_float(observation), 1)
    x = encoder(name=name, **dtypes)(observation, train=train)
    return jax.lax.collapse(x, 1)


def as_float(observation: Array) -> Array:
    """Observations as floats; uint8 is scaled to [0, 1], other values are unchanged.

    Args:
      observation: Observations of any dtype.
    """
    if observation.dtype == jnp.uint8:
        return observation / jnp.float32(255)
    if jnp.issubdtype(observation.dtype, jnp.floating):
        return observation
    return observation.astype(jnp.float32)
