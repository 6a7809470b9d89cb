"""VGG networks."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from fdl.models.layers import adaptive_avg_pool, conv, max_pool
from fdl.models.mlp import MLP
from fdl.models.pretrained import Rules
from fdl.models.pretrained import vgg as formats
from fdl.types import Array


class VGGBlock(nn.Module):
    """VGG block: 3×3 convolutions and a 2×2 max-pooling.

    Intermediates: ``relu1``, ``relu2`` and so on, the outputs of the convolutions.

    Attributes:
      num_convs: Number of convolutions.
      conv: Factory of convolutions, ``conv(name=...)``.
      norm: Factory of normalisation layers, ``norm(name=...)``; None for none.
    """

    num_convs: int
    conv: Callable[..., nn.Module]
    norm: Callable[..., nn.Module] | None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps x [B, H, W, C] to [B, H / 2, W / 2, features]."""
        for i in range(1, self.num_convs + 1):
            x = self.conv(name=f"conv{i}")(x)
            if self.norm is not None:
                x = self.norm(name=f"bn{i}")(x)
            x = nn.relu(x)
            self.sow("intermediates", f"relu{i}", x)
        return max_pool(x, 2)


class VGG(nn.Module):
    """VGG network: blocks of 3×3 convolutions, two hidden layers and a classifier.

    Feature maps are average-pooled to 7×7, so that images of any size fit the dense
    layers; for 224×224 images this is the identity. Intermediates: ``layer1`` to
    ``layer5``, the outputs of the blocks; ``block1/relu1`` and so on, those of the
    convolutions; ``hidden_0`` and ``hidden_1``.

    Attributes:
      stage_sizes: Number of convolutions of each block.
      batch_norm: Whether batch normalisation follows each convolution.
      num_classes: Units of the classification head; if None there is no head, and the
        last hidden layer is returned.
      width: Channels of the first block; they double with each block, up to eight times
        as many.
      hidden_sizes: Units of the hidden layers.
      pooled_size: Height and width of the pooled feature maps.
      dropout: Dropout rate of the hidden units.
      remat: Whether to rematerialise each block in the backward pass.
      dtype: Computation dtype; that of inputs and parameters if None.
      param_dtype: Dtype of the parameters.

    References:
      Simonyan and Zisserman, `Very Deep Convolutional Networks for Large-Scale Image
      Recognition <https://arxiv.org/abs/1409.1556>`_, 2014.
    """

    stage_sizes: Sequence[int]
    batch_norm: bool = False
    num_classes: int | None = 1000
    width: int = 64
    hidden_sizes: Sequence[int] = (4096, 4096)
    pooled_size: int = 7
    dropout: float = 0.5
    remat: bool = False
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, images: Array, *, train: bool = False) -> Array:
        """Maps images [B, H, W, C] to logits, float [B, num_classes]."""
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        # The initialisation of torchvision. That of the paper, N(0, 0.01²), trains deep
        # variants only from pre-trained shallower ones.
        he_normal = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
        norm = functools.partial(
            nn.BatchNorm,
            use_running_average=not train,
            momentum=0.9,
            epsilon=1e-5,
            **dtypes,
        )
        block = nn.remat(VGGBlock) if self.remat else VGGBlock
        x = images
        for i, num_convs in enumerate(self.stage_sizes):
            convolve = functools.partial(
                conv,
                self.width * min(2**i, 8),
                (3, 3),
                padding=1,
                kernel_init=he_normal,
                **dtypes,
            )
            norms = norm if self.batch_norm else None
            x = block(num_convs, convolve, norms, name=f"block{i + 1}")(x)
            self.sow("intermediates", f"layer{i + 1}", x)
        mlp = MLP(
            self.hidden_sizes,
            self.num_classes,
            dropout=self.dropout,
            kernel_init=nn.initializers.normal(0.01),
            **dtypes,
        )
        # Parameters of the MLP live in this module's scope, as `dense_0` and `head`,
        # not `mlp/dense_0`.
        nn.share_scope(self, mlp)
        return mlp(adaptive_avg_pool(x, self.pooled_size), train=train)

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Shape of one image of the published size; other sizes are accepted."""
        return (jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32),)

    def checkpoints(self) -> Mapping[str, Rules]:
        """Conversion rules of published weights, by source."""
        channels = self.width * min(2 ** (len(self.stage_sizes) - 1), 8)
        rules = formats.torchvision(
            self.stage_sizes, channels, self.pooled_size, batch_norm=self.batch_norm
        )
        return {"torchvision": rules}


def vgg11(**options: Any) -> VGG:
    """VGG-11; 132,863,336 parameters.

    Args:
      **options: Other attributes of `VGG`.
    """
    return VGG((1, 1, 2, 2, 2), **options)


def vgg13(**options: Any) -> VGG:
    """VGG-13; 133,047,848 parameters.

    Args:
      **options: Other attributes of `VGG`.
    """
    return VGG((2, 2, 2, 2, 2), **options)


def vgg16(**options: Any) -> VGG:
    """VGG-16; 138,357,544 parameters.

    Args:
      **options: Other attributes of `VGG`.
    """
    return VGG((2, 2, 3, 3, 3), **options)


def vgg19(**options: Any) -> VGG:
    """VGG-19; 143,667,240 parameters.

    Args:
      **options: Other attributes of `VGG`.
    """
    return VGG((2, 2, 4, 4, 4), **options)


def vgg11_bn(**options: Any) -> VGG:
    """VGG-11 with batch norm; 132,868,840 parameters.

    Args:
      **options: Other attributes of `VGG`.
    """
    return VGG((1, 1, 2, 2, 2), True, **options)


def vgg13_bn(**options: Any) -> VGG:
    """VGG-13 with batch norm; 133,053,736 parameters.

    Args:
      **options: Other attributes of `VGG`.
    """
    return VGG((2, 2, 2, 2, 2), True, **options)


def vgg16_bn(**options: Any) -> VGG:
    """VGG-16 with batch norm; 138,365,992 parameters.

    Args:
      **options: Other attributes of `VGG`.
    """
    return VGG((2, 2, 3, 3, 3), True, **options)


def vgg19_bn(**options: Any) -> VGG:
    """VGG-19 with batch norm; 143,678,248 parameters.

    Args:
      **options: Other attributes of `VGG`.
    """
    return VGG((2, 2, 4, 4, 4), True, **options)
