"""Wide residual networks (WRN)."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from fdl.models.layers import average, conv
from fdl.models.vision.resnet import ResNet, he_normal
from fdl.types import Array


class WideBlock(nn.Module):
    """Pre-activation residual block of two 3×3 convolutions.

    Attributes:
      features: Channels of both convolutions.
      stride: Stride of the first convolution.
      conv: Factory of convolutions without bias, ``conv(features, kernel_size, ...)``.
      norm: Factory of normalisation layers, ``norm(name=...)``.
      drop: Factory of dropout layers, ``drop()``.
    """

    features: int
    stride: int
    conv: Callable[..., nn.Module]
    norm: Callable[..., nn.Module]
    drop: Callable[..., nn.Module]

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps x [B, H, W, C] to [B, H / stride, W / stride, features]."""
        f, three = self.features, {"kernel_size": (3, 3), "padding": 1}
        y = nn.relu(self.norm(name="bn1")(x))
        # Only blocks that change the number of channels have a stride. Their shortcut
        # branches off after the shared pre-activation, as in the authors' code.
        if x.shape[-1] != f:
            x = self.conv(f, (1, 1), strides=self.stride, name="shortcut")(y)
        y = self.conv(f, **three, strides=self.stride, name="conv1")(y)
        y = nn.relu(self.norm(name="bn2")(y))
        return x + self.conv(f, **three, name="conv2")(self.drop()(y))


class WideResNet(nn.Module):
    """Wide residual network for 32×32 images.

    Intermediates: ``layer1`` to ``layer3``, the outputs of the stages.

    Attributes:
      stage_sizes: Number of blocks of each stage; channels double with each stage.
      widening: Widening factor; the first stage has 16 times as many channels.
      num_classes: Units of the classification head; if None there is no head, and the
        pooled features are returned.
      dropout: Dropout rate between the convolutions of a block.
      remat: Whether to rematerialise each block in the backward pass.
      dtype: Computation dtype; that of inputs and parameters if None.
      param_dtype: Dtype of the parameters.

    References:
      Zagoruyko and Komodakis, `Wide Residual Networks
      <https://arxiv.org/abs/1605.07146>`_, 2016.
    """

    stage_sizes: Sequence[int]
    widening: int
    num_classes: int | None = 10
    dropout: float = 0.0
    remat: bool = False
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, images: Array, *, train: bool = False) -> Array:
        """Maps images [B, H, W, C] to logits, float [B, num_classes]."""
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        convolve: Callable[..., nn.Module] = functools.partial(
            conv, use_bias=False, kernel_init=he_normal, **dtypes
        )
        norm: Callable[..., nn.Module] = functools.partial(
            nn.BatchNorm,
            use_running_average=not train,
            momentum=0.9,  # The weight of the old average: PyTorch's 0.1.
            epsilon=1e-5,
            **dtypes,
        )
        drop = functools.partial(nn.Dropout, self.dropout, deterministic=not train)
        x = convolve(16, (3, 3), padding=1, name="conv1")(images)
        block = nn.remat(WideBlock) if self.remat else WideBlock
        for i, num_blocks in enumerate(self.stage_sizes):
            for j in range(num_blocks):
                x = block(
                    features=16 * self.widening * 2**i,
                    stride=2 if i > 0 and j == 0 else 1,
                    conv=convolve,
                    norm=norm,
                    drop=drop,
                    name=f"layer{i + 1}_{j}",
                )(x)
            self.sow("intermediates", f"layer{i + 1}", x)
        x = average(nn.relu(norm(name="bn1")(x)))
        if self.num_classes is None:
            return x
        return nn.Dense(self.num_classes, name="head", **dtypes)(x)

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Shape of one image of the published size; other sizes are accepted."""
        return (jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32),)


def wrn16_4(**options: Any) -> WideResNet:
    """WRN-16-4 for 32×32 images; 2,748,890 parameters.

    Args:
      **options: Other attributes of `WideResNet`.
    """
    return WideResNet((2, 2, 2), 4, **options)


def wrn16_8(**options: Any) -> WideResNet:
    """WRN-16-8 for 32×32 images; 10,961,370 parameters.

    Args:
      **options: Other attributes of `WideResNet`.
    """
    return WideResNet((2, 2, 2), 8, **options)


def wrn40_2(**options: Any) -> WideResNet:
    """WRN-40-2 for 32×32 images; 2,243,546 parameters.

    Args:
      **options: Other attributes of `WideResNet`.
    """
    return WideResNet((6, 6, 6), 2, **options)


def wrn40_4(**options: Any) -> WideResNet:
    """WRN-40-4 for 32×32 images; 8,949,210 parameters.

    Args:
      **options: Other attributes of `WideResNet`.
    """
    return WideResNet((6, 6, 6), 4, **options)


def wrn28_10(**options: Any) -> WideResNet:
    """WRN-28-10 for 32×32 images; 36,479,194 parameters.

    Args:
      **options: Other attributes of `WideResNet`.
    """
    return WideResNet((4, 4, 4), 10, **options)


def wide_resnet50_2(**options: Any) -> ResNet:
    """WRN-50-2, a ResNet-50 of twice the inner channels; 68,883,240 parameters.

    Args:
      **options: Other attributes of `ResNet`.

    References:
      Zagoruyko and Komodakis, `Wide Residual Networks
      <https://arxiv.org/abs/1605.07146>`_, 2016.
    """
    return ResNet((3, 4, 6, 3), True, **{"inner_width": 128, **options})
