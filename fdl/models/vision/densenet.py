"""Densely connected convolutional networks (DenseNet)."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from fdl.models.layers import average, conv, max_pool
from fdl.models.pretrained import Rules
from fdl.models.pretrained import densenet as formats
from fdl.types import Array

_he_normal = nn.initializers.variance_scaling(2.0, "fan_in", "normal")


class DenseLayer(nn.Module):
    """Bottleneck layer of DenseNet, concatenated with its input.

    Attributes:
      features: Number of channels that are added, the growth rate.
      inner: Number of channels between the 1×1 and the 3×3 convolution.
      conv: Constructor of convolutions, called as ``conv(features, kernel_size, ...)``.
      norm: Constructor of a normalisation, called as ``norm(name=...)``.
      drop: Constructor of a dropout layer, called as ``drop()``.
    """

    features: int
    inner: int
    conv: Callable[..., nn.Module]
    norm: Callable[..., nn.Module]
    drop: Callable[..., nn.Module]

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps x [B, H, W, C] to [B, H, W, C + features]."""
        # Pre-activation: each layer normalises all earlier outputs with its own scales.
        y = nn.relu(self.norm(name="norm1")(x))
        y = self.conv(self.inner, (1, 1), name="conv1")(y)
        y = nn.relu(self.norm(name="norm2")(y))
        y = self.conv(self.features, (3, 3), padding=1, name="conv2")(y)
        return jnp.concatenate([x, self.drop()(y)], axis=-1)


class DenseNet(nn.Module):
    """DenseNet-BC, with bottleneck layers and compression between dense blocks.

    Each layer receives the outputs of all earlier layers of its block. Intermediates:
    ``denseblock1``, ``denseblock2`` and so on, the outputs of the blocks.

    Attributes:
      block_sizes: Number of layers of each dense block.
      growth: Growth rate, the number of channels that each layer adds.
      num_classes: Number of classes; None omits the classification layer and returns
        the pooled features.
      width: Number of channels of the stem.
      bottleneck: Channels inside each layer as a multiple of `growth`.
      compression: Fraction of the channels that a transition between blocks keeps.
      dropout: Dropout rate of each layer's output.
      remat: Whether to recompute the activations of each layer in the backward pass, so
        that the memory of a block grows linearly, not quadratically, with its depth.
      dtype: Dtype of the computation; inferred from inputs and parameters if None.
      param_dtype: Dtype of the parameters.

    References:
      Huang et al., `Densely Connected Convolutional Networks
      <https://arxiv.org/abs/1608.06993>`_, 2016.
    """

    block_sizes: Sequence[int]
    growth: int
    num_classes: int | None = 1000
    width: int = 64
    bottleneck: int = 4
    compression: float = 0.5
    dropout: float = 0.0
    remat: bool = False
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, images: Array, *, train: bool = False) -> Array:
        """Maps images [B, H, W, C] to logits, float [B, num_classes]."""
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        convolve: Callable[..., nn.Module] = functools.partial(
            conv, use_bias=False, kernel_init=_he_normal, **dtypes
        )
        # Flax's momentum is the weight of the old average: 0.9 is PyTorch's 0.1.
        norm: Callable[..., nn.Module] = functools.partial(
            nn.BatchNorm,
            use_running_average=not train,
            momentum=0.9,
            epsilon=1e-5,
            **dtypes,
        )
        drop = functools.partial(nn.Dropout, self.dropout, deterministic=not train)
        x = convolve(self.width, (7, 7), strides=2, padding=3, name="conv0")(images)
        x = max_pool(nn.relu(norm(name="norm0")(x)), 3, 2, padding=1)
        layer = nn.remat(DenseLayer) if self.remat else DenseLayer
        # Blocks, layers and transitions are numbered from one, as in torchvision.
        for i, num_layers in enumerate(self.block_sizes, start=1):
            if i > 1:
                x = nn.relu(norm(name=f"transition{i - 1}_norm")(x))
                size = int(x.shape[-1] * self.compression)
                x = convolve(size, (1, 1), name=f"transition{i - 1}_conv")(x)
                x = nn.avg_pool(x, (2, 2), (2, 2))
            for j in range(1, num_layers + 1):
                x = layer(
                    features=self.growth,
                    inner=self.bottleneck * self.growth,
                    conv=convolve,
                    norm=norm,
                    drop=drop,
                    name=f"denseblock{i}_{j}",
                )(x)
            self.sow("intermediates", f"denseblock{i}", x)
        x = average(nn.relu(norm(name="norm5")(x)))
        if self.num_classes is None:
            return x
        return nn.Dense(self.num_classes, name="head", **dtypes)(x)

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Example inputs: one image of the published size; other sizes are accepted."""
        return (jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32),)

    def checkpoints(self) -> Mapping[str, Rules]:
        """Conversion rules of pretrained weights; timm's are named as torchvision's."""
        return {"torchvision": formats.TORCHVISION}


def densenet121(**options: Any) -> DenseNet:
    """DenseNet-121; 7,978,856 parameters.

    Args:
      **options: Other attributes of `DenseNet`.
    """
    return DenseNet((6, 12, 24, 16), 32, **options)
