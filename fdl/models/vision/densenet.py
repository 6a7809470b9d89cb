"""Densely connected convolutional networks."""

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
    """A few channels more, computed from all channels there are.

    Attributes:
      features: How many channels it adds.
      inner: Channels between its convolutions.
      conv: Makes a convolution without bias: ``conv(features, kernel_size, ...)``.
      norm: Makes a normalisation: ``norm(name=...)``.
      drop: Makes a dropout: ``drop()``.
    """

    features: int
    inner: int
    conv: Callable[..., nn.Module]
    norm: Callable[..., nn.Module]
    drop: Callable[..., nn.Module]

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps x [B, H, W, C] to [B, H, W, C + features]."""
        y = nn.relu(self.norm(name="norm1")(x))
        y = self.conv(self.inner, (1, 1), name="conv1")(y)
        y = nn.relu(self.norm(name="norm2")(y))
        y = self.conv(self.features, (3, 3), padding=1, name="conv2")(y)
        return jnp.concatenate([x, self.drop()(y)], axis=-1)


class DenseNet(nn.Module):
    """A network in which each layer sees the outputs of all layers of its block.

    The form that is called DenseNet-BC. Intermediates: ``denseblock1``,
    ``denseblock2`` and so on, the outputs of the blocks.

    Attributes:
      block_sizes: Layers of each block.
      growth: Channels that each layer adds.
      num_classes: Size of the readout; none where None, and pooled features come out.
      width: Channels in front of the first block.
      bottleneck: How many times `growth` channels lie inside each layer.
      compression: Fraction of the channels that remain between blocks.
      dropout: Fraction of each layer's output that is dropped in training.
      remat: Whether what a layer computes is computed again in the backward pass: the
        concatenations of a block then take memory that grows with its depth, and not
        with the square.
      dtype: What is computed in; that of inputs and parameters where None.
      param_dtype: What parameters are stored in.

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
        """One image of the published size; others are taken too."""
        return (jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32),)

    def checkpoints(self) -> Mapping[str, Rules]:
        """Published weights that fit; timm's have the same names and layouts."""
        return {"torchvision": formats.TORCHVISION}


def densenet121(**options: Any) -> DenseNet:
    """DenseNet-121; 7,978,856 parameters.

    Args:
      **options: All others of `DenseNet`.
    """
    return DenseNet((6, 12, 24, 16), 32, **options)
