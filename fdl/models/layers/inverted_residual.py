"""Blocks of many channels inside and few outside."""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn

from fdl.models.layers.stochastic_depth import StochasticDepth
from fdl.types import Array


class Stage(NamedTuple):
    """Blocks of one width and resolution.

    Attributes:
      expansion: How many times more channels each block has inside than its input.
      kernel: Height and width of the depthwise convolutions.
      stride: Of the first block.
      features: Channels of the outputs.
      num_blocks: How many there are.
    """

    expansion: int
    kernel: int
    stride: int
    features: int
    num_blocks: int


class InvertedResidual(nn.Module):
    """A depthwise convolution between two 1×1 ones, around which the input passes.

    It passes where its shape stays as it is.

    Attributes:
      expansion: How many times more channels there are inside than in the input; where
        one, there is no first convolution.
      kernel: Height and width of the depthwise convolution.
      stride: Of the depthwise convolution.
      features: Channels of the output.
      squeeze: Channels of the squeeze and excitation, which weighs the channels inside
        by what they are on average; there is none where zero.
      activation: After each convolution but the last.
      stochastic_depth: Chance that all but the input is dropped in training.
      train: Whether it is training.
      conv: Makes a convolution: ``conv(features, kernel_size, ...)``.
      norm: Makes a normalisation: ``norm(name=...)``.

    References:
      Sandler et al., `MobileNetV2: Inverted Residuals and Linear Bottlenecks
      <https://arxiv.org/abs/1801.04381>`_, 2018.

      Hu et al., `Squeeze-and-Excitation Networks <https://arxiv.org/abs/1709.01507>`_,
      2017.
    """

    expansion: int
    kernel: int
    stride: int
    features: int
    squeeze: int
    activation: Callable[[Array], Array]
    stochastic_depth: float
    train: bool
    conv: Callable[..., nn.Module]
    norm: Callable[..., nn.Module]

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps x [B, H, W, C] to [B, H / stride, W / stride, features]."""
        inner = self.expansion * x.shape[-1]
        y = x
        if self.expansion > 1:
            y = self.conv(inner, (1, 1), use_bias=False, name="expand")(y)
            y = self.activation(self.norm(name="expand_norm")(y))
        y = self.conv(
            inner,
            (self.kernel, self.kernel),
            strides=self.stride,
            padding=self.kernel // 2,
            feature_group_count=inner,
            use_bias=False,
            name="depthwise",
        )(y)
        y = self.activation(self.norm(name="depthwise_norm")(y))
        if self.squeeze:
            weights = y.mean(axis=(1, 2), keepdims=True)
            weights = self.conv(self.squeeze, (1, 1), name="squeeze")(weights)
            weights = self.activation(weights)
            y *= nn.sigmoid(self.conv(inner, (1, 1), name="excite")(weights))
        y = self.conv(self.features, (1, 1), use_bias=False, name="project")(y)
        y = self.norm(name="project_norm")(y)
        if x.shape != y.shape:
            return y
        return x + StochasticDepth(self.stochastic_depth)(y, self.train)


def divisible(channels: float, divisor: int = 8) -> int:
    """The nearest multiple, but never less than 90 % of what was asked for.

    Example:
      >>> [divisible(channels) for channels in (3, 33.6, 36, 11)]
      [8, 32, 40, 16]
    """
    nearest = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return nearest if nearest >= 0.9 * channels else nearest + divisor
