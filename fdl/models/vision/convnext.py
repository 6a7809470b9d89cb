"""ConvNeXt."""

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

# The published initialiser truncates at ±2, a hundred standard deviations: the same as
# no truncation.
_normal = nn.initializers.normal(0.02)


class ConvNeXtBlock(nn.Module):
    """ConvNeXt block: depthwise convolution, layer norm and inverted bottleneck.

    Attributes:
      kernel_size: Height and width of the depthwise kernel, odd.
      mlp_ratio: Ratio of hidden units to channels.
      layer_scale: Initial value of the learned scale of each channel of the branch;
        None omits the scale.
      activation: Activation of the hidden units.
      dtype: Dtype of the computation; inferred from inputs and parameters if None.
      param_dtype: Dtype of the parameters.
    """

    kernel_size: int
    mlp_ratio: int
    layer_scale: float | None
    activation: Callable[[Array], Array]
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: Array, train: bool, drop_rate: float | Array = 0.0) -> Array:
        """Maps x [B, H, W, C] to outputs of the same shape."""
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
            # Axes are explicit, for users who make rank promotion an error.
            y = y * scale.astype(y.dtype).reshape(1, 1, 1, -1)
        return x + StochasticDepth(drop_rate)(y, train)


class ConvNeXt(nn.Module):
    """ConvNeXt: residual network of depthwise convolutions in Transformer-like blocks.

    Intermediates: ``stage0_outputs`` to ``stage3_outputs``, the outputs of the stages.

    Attributes:
      stage_sizes: Number of blocks of each stage.
      widths: Number of channels of each stage.
      patch_size: Kernel size and stride of the stem; the convolutions between stages
        have 2.
      kernel_size: Height and width of the depthwise kernels, odd.
      mlp_ratio: Ratio of hidden units to channels in a block.
      layer_scale: Initial value of the learned scale of each channel of a residual
        branch; None omits the scales.
      activation: Activation of the hidden units.
      num_classes: Number of classes; None omits the classification layer and returns
        the pooled features.
      stochastic_depth: Probability that the residual branch of the last block is
        dropped, per example; it grows linearly with depth from zero at the first block.
      remat: Whether to recompute the activations of each block in the backward pass.
      scan_layers: Whether to run the blocks of each stage as one `flax.linen.scan`,
        compiled once.
      dtype: Dtype of the computation; inferred from inputs and parameters if None.
      param_dtype: Dtype of the parameters.

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
        # The rates grow over all blocks, and not anew within each stage.
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
            # Without stochastic depth no rates are passed: scan and remat trace them,
            # and even zeros would draw random numbers and need a key.
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
        """Example inputs: one image of the published size; other sizes are accepted."""
        return (jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32),)

    def checkpoints(self) -> Mapping[str, Rules]:
        """Conversion rules of pretrained weights, by the name of their format."""
        return {"torchvision": formats.TORCHVISION, "timm": formats.TIMM}


def convnext_t(**options: Any) -> ConvNeXt:
    """ConvNeXt-T; 28,589,128 parameters.

    Args:
      **options: Other attributes of `ConvNeXt`.

    Example:
      With the stochastic depth of its training on ImageNet:

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
      **options: Other attributes of `ConvNeXt`; stochastic depth was 0.4 on ImageNet.
    """
    return ConvNeXt((3, 3, 27, 3), (96, 192, 384, 768), **options)


def convnext_b(**options: Any) -> ConvNeXt:
    """ConvNeXt-B; 88,591,464 parameters.

    Args:
      **options: Other attributes of `ConvNeXt`; stochastic depth was 0.5 on ImageNet.
    """
    return ConvNeXt((3, 3, 27, 3), (128, 256, 512, 1024), **options)
