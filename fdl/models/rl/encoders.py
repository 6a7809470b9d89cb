"""What observations pass through before a decision or a value is read out of them."""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Initializer
from jax.typing import DTypeLike

from fdl.models.layers import conv
from fdl.types import Array

ObservationEncoder = Callable[..., nn.Module]  # Called as `encoder(name=...)`.

# What Torch begins with, and with it most of the published agents: U(±1/√fan_in).
uniform = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


class ConvEncoder(nn.Module):
    """Convolutions without padding, an activation after each, and all of it flat.

    Bytes are divided by 255, so that pixels lie between 0 and 1. Truth values become 0
    and 1, and floats are taken as they are.

    Attributes:
      features: Channels of each convolution.
      kernel_sizes: Height and width of its kernel.
      strides: From one place of the kernel to the next.
      activation: What follows a convolution.
      kernel_init: Makes the first kernels; by default like Torch.
      input_shape: Shape of an observation.
      dtype: What is computed in; that of parameters where None.
      param_dtype: What parameters are stored in.
    """

    features: Sequence[int]
    kernel_sizes: Sequence[int]
    strides: Sequence[int]
    activation: Callable[[Array], Array] = nn.relu
    kernel_init: Initializer = uniform
    input_shape: Sequence[int] = (84, 84, 4)
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, observation: Array, *, train: bool = False) -> Array:
        """Maps observations [B, H, W, C] to features, float [B, D]."""
        del train  # It does the same in training.
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
            x = self.activation(x)
        return x.reshape(x.shape[0], -1)

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """One observation of `input_shape`; others are taken too."""
        return (jax.ShapeDtypeStruct((1, *self.input_shape), jnp.float32),)


def nature_encoder(**options: Any) -> ConvEncoder:
    """The convolutions of the Nature DQN; 77,984 parameters.

    For the last four frames as channels, bytes [B, 84, 84, 4]. A hidden layer of 512
    units follows them in the paper.

    Args:
      **options: All others of `ConvEncoder`.

    References:
      Mnih et al., `Human-level Control through Deep Reinforcement Learning
      <https://doi.org/10.1038/nature14236>`_, 2015.
    """
    return ConvEncoder((32, 64, 64), (8, 4, 3), (4, 2, 1), **options)


def minatar_encoder(**options: Any) -> ConvEncoder:
    """The convolution of MinAtar's agents; 592 parameters for four channels.

    For what is where, truth values [B, 10, 10, C]. A hidden layer of 128 units follows
    it in the paper.

    Args:
      **options: All others of `ConvEncoder`.

    References:
      Young and Tian, `MinAtar: An Atari-Inspired Testbed for Thorough and Reproducible
      Reinforcement Learning Experiments <https://arxiv.org/abs/1903.03176>`_, 2019.
    """
    return ConvEncoder((16,), (3,), (1,), **{"input_shape": (10, 10, 4), **options})


def encode(
    encoder: ObservationEncoder | None,
    observation: Array,
    name: str,
    train: bool,
    **dtypes: Any,
) -> Array:
    """Features of observations, float [B, D]; flattened where there is no encoder."""
    if encoder is None:
        return as_float(observation).reshape(observation.shape[0], -1)
    x = encoder(name=name, **dtypes)(observation, train=train)
    return x.reshape(x.shape[0], -1)


def as_float(observation: Array) -> Array:
    """Observations as floats: bytes between 0 and 1, and all else as it is."""
    if observation.dtype == jnp.uint8:
        return observation / jnp.float32(255)
    if jnp.issubdtype(observation.dtype, jnp.floating):
        return observation
    return observation.astype(jnp.float32)
