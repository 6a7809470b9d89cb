"""Convolutional networks that learnt from Transformers."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from fdl.models.layers import StochasticDepth, average, conv, layer_norm
from fdl.models.layers.dense import dense
from fdl.models.layers.layer_stack import Stack
from fdl.models.pretrained import Rules
from fdl.models.pretrained import convnext as formats
from fdl.types import Array

# Published truncations lie at a hundred standard deviations.
_normal = nn.initializers.normal(0.02)


class ConvNeXtBlock(nn.Module):
    """Mixes pixels within each channel, then channels within each pixel.

    Attributes:
      kernel_size: Height and width of what a pixel sees.
      mlp_ratio: How many times as many hidden units as channels there are.
      layer_scale: What each channel of the branch is multiplied by to begin with;
        nothing is where None.
      activation: That of the hidden units.
      dtype: What is computed in; that of inputs and parameters where None.
      param_dtype: What parameters are stored in.
    """

    kernel_size: int
    mlp_ratio: int
    layer_scale: float | None
    activation: Callable[[Array], Array]
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: Array, train: bool, drop_rate: float | Array = 0.0) -> Array:
        """Maps x [B, H, W, C] to the same shape."""
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        channels = x.shape[-1]
        layer: Callable[..., nn.Module] = functools.partial(
            dense, kernel_init=_normal, **dtypes
        )
        y = conv(
            channels,
            (self.kernel_size,) * 2,
            padding=self.kernel_size // 2,
            feature_group_count=channels,
            kernel_init=_normal,
            name="conv",
            **dtypes,
        )(x)
        y = layer_norm(1e-6, name="norm", **dtypes)(y)
        y = self.activation(layer(self.mlp_ratio * channels, name="up")(y))
        y = layer(channels, name="down")(y)
        if self.layer_scale is not None:
            init = nn.initializers.constant(self.layer_scale)
            scale = self.param("layer_scale", init, (channels,), self.param_dtype)
            y = y * scale.astype(y.dtype).reshape(1, 1, 1, -1)
        return x + StochasticDepth(drop_rate)(y, train)


class ConvNeXt(nn.Module):
    """A residual network of depthwise convolutions, built as a Transformer is.

    Intermediates: ``stage0_outputs`` to ``stage3_outputs``, those of the stages.

    Attributes:
      stage_sizes: Blocks of each stage.
      widths: Channels of each stage.
      patch_size: Height, width and stride of the first convolution; between stages,
        they are 2.
      kernel_size: Height and width of what a pixel sees in a block, odd.
      mlp_ratio: How many times as many hidden units as channels a block has.
      layer_scale: What each channel of a block's branch is multiplied by to begin with;
        nothing is where None.
      activation: That of the hidden units.
      num_classes: Size of the readout; none where None, and pooled features come out.
      stochastic_depth: Chance that the last block drops the branch of an example; it
        grows linearly from zero, that of the first.
      remat: Whether what a block computes is computed again in the backward pass.
      scan_layers: Whether one block of each stage is compiled and run many times.
      dtype: What is computed in; that of inputs and parameters where None.
      param_dtype: What parameters are stored in.

    References:
      Liu et al., `A ConvNet for the 2020s <https://arxiv.org/abs/2201.03545>`_, 2022.
    """

    stage_sizes: Sequence[int]
    widths: Sequence[int]
    patch_size: int = 4
    kernel_size: int = 7
    mlp_ratio: int = 4
    layer_scale: float | None = 1e-6
    activation: Callable[[Array], Array] = functools.partial(nn.gelu, approximate=False)
    num_classes: int | None = 1000
    stochastic_depth: float = 0.0
    remat: bool = False
    scan_layers: bool = False
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, images: Array, *, train: bool = False) -> Array:
        """Maps images [B, H, W, C] to logits, float [B, num_classes]."""
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        norm: Callable[..., nn.Module] = functools.partial(layer_norm, 1e-6, **dtypes)
        patches: Callable[..., nn.Module] = functools.partial(
            conv, padding="VALID", kernel_init=_normal, **dtypes
        )
        block: Callable[..., nn.Module] = functools.partial(
            ConvNeXtBlock,
            self.kernel_size,
            self.mlp_ratio,
            self.layer_scale,
            self.activation,
            **dtypes,
        )
        rates = np.linspace(0, self.stochastic_depth, sum(self.stage_sizes))
        size = (self.patch_size,) * 2
        x = patches(self.widths[0], size, strides=size, name="stem_conv")(images)
        x = norm(name="stem_norm")(x)
        for i, (num_blocks, width) in enumerate(
            zip(self.stage_sizes, self.widths, strict=True)
        ):
            if i > 0:
                x = norm(name=f"downsample{i}_norm")(x)
                x = patches(width, (2, 2), strides=2, name=f"downsample{i}_conv")(x)
            start = sum(self.stage_sizes[:i])
            own: Any = (rates[start : start + num_blocks],)
            x = Stack(
                block, num_blocks, self.scan_layers, self.remat, name=f"stage{i}"
            )(x, train, per_layer=own if self.stochastic_depth else ())
            self.sow("intermediates", f"stage{i}_outputs", x)
        x = norm(name="norm")(average(x))
        if self.num_classes is None:
            return x
        return nn.Dense(self.num_classes, kernel_init=_normal, name="head", **dtypes)(x)

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """One image of the published size; others are taken too."""
        return (jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32),)

    def checkpoints(self) -> Mapping[str, Rules]:
        """Published weights that fit."""
        return {"torchvision": formats.TORCHVISION, "timm": formats.TIMM}


def convnext_t(**options: Any) -> ConvNeXt:
    """ConvNeXt-T; 28,589,128 parameters.

    Args:
      **options: All others of `ConvNeXt`.

    Example:
      As it was trained on ImageNet:

      >>> from fdl import models
      >>> module = convnext_t(stochastic_depth=0.1)
      >>> shapes = jax.eval_shape(models.functional(module).init, jax.random.key(0))
      >>> shapes["params"]["stage2"]["layers_8"]["conv"]["kernel"].shape
      (7, 7, 1, 384)
    """
    return ConvNeXt((3, 3, 9, 3), (96, 192, 384, 768), **options)


def convnext_s(**options: Any) -> ConvNeXt:
    """ConvNeXt-S; 50,223,688 parameters.

    Args:
      **options: All others of `ConvNeXt`; stochastic depth was 0.4 on ImageNet.
    """
    return ConvNeXt((3, 3, 27, 3), (96, 192, 384, 768), **options)


def convnext_b(**options: Any) -> ConvNeXt:
    """ConvNeXt-B; 88,591,464 parameters.

    Args:
      **options: All others of `ConvNeXt`; stochastic depth was 0.5 on ImageNet.
    """
    return ConvNeXt((3, 3, 27, 3), (128, 256, 512, 1024), **options)
