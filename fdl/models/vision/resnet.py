"""Residual networks (ResNet)."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from fdl.models.layers import average, conv, max_pool
from fdl.models.pretrained import resnet as formats
from fdl.models.pretrained.rules import Rules
from fdl.types import Array

# That of torchvision: the fan-out mode keeps the variance of the backward pass.
he_normal = nn.initializers.variance_scaling(2.0, "fan_out", "normal")


class ResNetBlock(nn.Module):
    """Residual block, basic or bottleneck.

    Attributes:
      features: Channels of the output.
      inner: Channels of the inner convolutions.
      stride: Stride of the first 3×3 convolution.
      bottleneck: Whether the branch is a 3×3 convolution between two 1×1 convolutions,
        instead of two 3×3 convolutions.
      groups: Groups of the 3×3 convolutions.
      projection: Whether the shortcut between different shapes is a strided 1×1
        convolution, instead of subsampling with zero-padded channels.
      zero_init: Whether to initialise the scale of the last normalisation to zero, so
        that the block starts as the identity.
      conv: Factory of convolutions without bias, ``conv(features, kernel_size, ...)``.
      norm: Factory of normalisation layers, ``norm(name=...)``.
    """

    features: int
    inner: int
    stride: int
    bottleneck: bool
    groups: int
    projection: bool
    zero_init: bool
    conv: Callable[..., nn.Module]
    norm: Callable[..., nn.Module]

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps x [B, H, W, C] to [B, H / stride, W / stride, features]."""
        one: dict[str, Any] = {"kernel_size": (1, 1)}
        three = {
            "kernel_size": (3, 3),
            "padding": 1,
            "feature_group_count": self.groups,
        }
        strided = {**three, "strides": self.stride}
        layers = [(self.inner, strided), (self.features, three)]
        if self.bottleneck:
            layers = [(self.inner, one), (self.inner, strided), (self.features, one)]
        y = x
        for i, (size, options) in enumerate(layers, start=1):
            y = self.conv(size, **options, name=f"conv{i}")(y)
            if i < len(layers):
                y = nn.relu(self.norm(name=f"bn{i}")(y))
        ones, zeros = nn.initializers.ones, nn.initializers.zeros
        y = self.norm(name=f"bn{i}", scale_init=zeros if self.zero_init else ones)(y)
        if x.shape != y.shape and self.projection:
            options = {**one, "strides": self.stride, "name": "downsample_conv"}
            x = self.conv(self.features, **options)(x)
            x = self.norm(name="downsample_bn")(x)
        elif x.shape != y.shape:
            padding = ((0, 0), (0, 0), (0, 0), (0, self.features - x.shape[-1]))
            x = jnp.pad(x[:, :: self.stride, :: self.stride], padding)
        return nn.relu(x + y)


class ResNet(nn.Module):
    """Residual network, version 1.5.

    Bottleneck blocks downsample in their 3×3 convolution, as in torchvision, and not in
    the first 1×1 convolution as in the paper. Intermediates: ``layer1`` to ``layer4``,
    the outputs of the stages.

    Attributes:
      stage_sizes: Number of blocks of each stage.
      bottleneck: Whether to use bottleneck blocks.
      num_classes: Units of the classification head; if None there is no head, and the
        pooled features are returned.
      width: Channels of the first stage, before the fourfold expansion of bottleneck
        blocks; they double with each stage.
      inner_width: Inner channels of the blocks of the first stage; `width` if None.
      groups: Groups of the 3×3 convolutions.
      projection: Whether shortcuts between different shapes are 1×1 convolutions
        (option B of the paper), instead of subsampling with zero-padded channels
        (option A).
      zero_init: Whether each block starts as the identity (Goyal et al., 2017, section
        5.1).
      small_images: Whether the stem is a 3×3 convolution, for 32×32 images, instead of
        a 7×7 convolution of stride 2 and a max-pooling.
      remat: Whether to rematerialise each block in the backward pass.
      dtype: Computation dtype; that of inputs and parameters if None.
      param_dtype: Dtype of the parameters.

    References:
      He et al., `Deep Residual Learning for Image Recognition
      <https://arxiv.org/abs/1512.03385>`_, 2015.
    """

    stage_sizes: Sequence[int]
    bottleneck: bool
    num_classes: int | None = 1000
    width: int = 64
    inner_width: int | None = None
    groups: int = 1
    projection: bool = True
    zero_init: bool = True
    small_images: bool = False
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
            # The weight of the old average: 0.1 by PyTorch's convention.
            momentum=0.9,
            epsilon=1e-5,
            **dtypes,
        )
        kernel, stride, padding = (3, 1, 1) if self.small_images else (7, 2, 3)
        x = convolve(
            self.width, (kernel,) * 2, strides=stride, padding=padding, name="conv1"
        )(images)
        x = nn.relu(norm(name="bn1")(x))
        if not self.small_images:
            x = max_pool(x, 3, 2, padding=1)
        block = nn.remat(ResNetBlock) if self.remat else ResNetBlock
        for i, num_blocks in enumerate(self.stage_sizes):
            for j in range(num_blocks):
                x = block(
                    features=self.width * 2**i * (4 if self.bottleneck else 1),
                    inner=(self.inner_width or self.width) * 2**i,
                    stride=2 if i > 0 and j == 0 else 1,
                    bottleneck=self.bottleneck,
                    groups=self.groups,
                    projection=self.projection,
                    zero_init=self.zero_init,
                    conv=convolve,
                    norm=norm,
                    name=f"layer{i + 1}_{j}",
                )(x)
            self.sow("intermediates", f"layer{i + 1}", x)
        x = average(x)
        if self.num_classes is None:
            return x
        return nn.Dense(self.num_classes, name="head", **dtypes)(x)

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Shape of one image of the published size; other sizes are accepted."""
        size = 32 if self.small_images else 224
        return (jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32),)

    def checkpoints(self) -> Mapping[str, Rules]:
        """Conversion rules of published weights; torchvision's fit timm too."""
        return {"torchvision": formats.TORCHVISION}


def resnet18(**options: Any) -> ResNet:
    """ResNet-18; 11,689,512 parameters.

    Args:
      **options: Other attributes of `ResNet`.
    """
    return ResNet((2, 2, 2, 2), False, **options)


def resnet34(**options: Any) -> ResNet:
    """ResNet-34; 21,797,672 parameters.

    Args:
      **options: Other attributes of `ResNet`.
    """
    return ResNet((3, 4, 6, 3), False, **options)


def resnet50(**options: Any) -> ResNet:
    """ResNet-50; 25,557,032 parameters.

    Args:
      **options: Other attributes of `ResNet`.

    Example:
      >>> from fdl import models
      >>> model = models.functional(models.resnet50(num_classes=10))
      >>> shapes = jax.eval_shape(model.init, jax.random.key(0))
      >>> shapes["params"]["head"]["kernel"].shape
      (2048, 10)
    """
    return ResNet((3, 4, 6, 3), True, **options)


def resnet101(**options: Any) -> ResNet:
    """ResNet-101; 44,549,160 parameters.

    Args:
      **options: Other attributes of `ResNet`.
    """
    return ResNet((3, 4, 23, 3), True, **options)


def resnet152(**options: Any) -> ResNet:
    """ResNet-152; 60,192,808 parameters.

    Args:
      **options: Other attributes of `ResNet`.
    """
    return ResNet((3, 8, 36, 3), True, **options)
