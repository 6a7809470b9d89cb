"""AlexNet, in two towers and in one."""

from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Initializer
from jax.typing import DTypeLike

from fdl.models.layers import adaptive_avg_pool, conv, local_response_norm, max_pool
from fdl.models.pretrained import Rules
from fdl.models.pretrained import alexnet as formats
from fdl.types import Array


class AlexNet(nn.Module):
    """Five convolutions, two hidden layers and a readout.

    What the convolutions give for images of another size than `example` has is averaged
    to 6×6, so that the dense layers fit; at that size nothing changes. Intermediates:
    ``layer1`` to ``layer5``, the outputs of the convolutions, normalised and pooled
    where they are, and ``hidden_0`` and ``hidden_1``.

    Attributes:
      features: Channels of the five convolutions.
      hidden_sizes: Units of the hidden layers.
      num_classes: Size of the readout; none where None, and the last hidden layer
        comes out.
      towers: Parts of the channels that conv2, conv4 and conv5 keep apart, each of
        which had a GPU of its own.
      response_norm: Whether responses are normalised after conv1 and conv2, across
        both towers.
      pool_size: Height and width of what is pooled with a stride of 2; 3 overlaps.
      original: Whether it is otherwise the network of 2012, and not that of 2014, which
        pads images by 2 and not by 0, drops in front of the hidden layers and not
        behind them, and here begins with PyTorch's weights.
      dropout: Fraction of the units that are dropped there.
      dtype: What is computed in; that of inputs and parameters where None.
      param_dtype: What parameters are stored in.

    References:
      Krizhevsky, Sutskever and Hinton, `ImageNet Classification with Deep
      Convolutional Neural Networks <https://doi.org/10.1145/3065386>`_, 2012.
    """

    features: Sequence[int] = (96, 256, 384, 384, 256)
    hidden_sizes: Sequence[int] = (4096, 4096)
    num_classes: int | None = 1000
    towers: int = 2
    response_norm: bool = True
    pool_size: int = 3
    original: bool = True
    dropout: float = 0.5
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, images: Array, *, train: bool = False) -> Array:
        """Maps images [B, H, W, C] to logits, float [B, num_classes]."""
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        init = published_init if self.original else torch_init
        x = self._convolutions(images, init, dtypes)
        x = adaptive_avg_pool(x, 6)
        x = x.reshape(x.shape[0], -1)
        for i, size in enumerate(self.hidden_sizes):
            if not self.original:
                x = nn.Dropout(self.dropout, deterministic=not train)(x)
            options = {**init(x.shape[-1], active=True), **dtypes}
            x = nn.relu(nn.Dense(size, name=f"dense_{i}", **options)(x))
            self.sow("intermediates", f"hidden_{i}", x)
            if self.original:
                x = nn.Dropout(self.dropout, deterministic=not train)(x)
        if self.num_classes is None:
            return x
        options = {**init(x.shape[-1], active=False), **dtypes}
        return nn.Dense(self.num_classes, name="head", **options)(x)

    def _convolutions(self, x, init, dtypes):
        for i, features in enumerate(self.features, start=1):
            size, stride, padding = {1: (11, 4, 2), 2: (5, 1, 2)}.get(i, (3, 1, 1))
            if i == 1 and self.original:
                padding = 0
            towers = self.towers if i in (2, 4, 5) else 1
            fan_in = size * size * x.shape[-1] // towers
            x = conv(
                features,
                (size, size),
                strides=stride,
                padding=padding,
                feature_group_count=towers,
                name=f"conv{i}",
                **init(fan_in, active=i in (2, 4, 5)),
                **dtypes,
            )(x)
            x = nn.relu(x)
            if i in (1, 2) and self.response_norm:
                x = local_response_norm(x)
            if i in (1, 2, 5):
                x = max_pool(x, self.pool_size, 2)
            self.sow("intermediates", f"layer{i}", x)
        return x

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """One image: 227×227 for that of 2012, as the paper's 224 does not add up."""
        size = 227 if self.original else 224
        return (jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32),)

    def checkpoints(self) -> Mapping[str, Rules]:
        """Published weights that fit: those of one tower."""
        if self.original:
            return {}
        return {"torchvision": formats.torchvision(self.features[-1])}


def alexnet(**options: Any) -> AlexNet:
    """AlexNet as published, in two towers; 60,965,224 parameters.

    Args:
      **options: All others of `AlexNet`. With ``towers=1`` nothing is kept apart, and
        there are 62,378,344 parameters.
    """
    return AlexNet(**options)


def alexnet_one_tower(**options: Any) -> AlexNet:
    """AlexNet in one tower, as torchvision has it; 61,100,840 parameters.

    Args:
      **options: All others of `AlexNet`.

    References:
      Krizhevsky, `One weird trick for parallelizing convolutional neural networks
      <https://arxiv.org/abs/1404.5997>`_, 2014.
    """
    defaults = {"towers": 1, "response_norm": False, "original": False}
    return AlexNet((64, 192, 384, 256, 256), **{**defaults, **options})


def published_init(fan_in: int, *, active: bool) -> dict[str, Initializer]:
    """N(0, 0.01²); biases of one where ReLUs shall be active from the beginning."""
    del fan_in  # All layers begin alike.
    bias_init = nn.initializers.constant(1.0 if active else 0.0)
    return {"kernel_init": nn.initializers.normal(0.01), "bias_init": bias_init}


def torch_init(fan_in: int, *, active: bool) -> dict[str, Initializer]:
    """PyTorch's: kernels and biases between ±1 / √fan_in."""
    del active  # All layers begin alike.

    def init(key, shape, dtype=jnp.float32, **options):
        del options  # Flax's initialisers take where an array shall lie.
        return jax.random.uniform(key, shape, dtype, -1.0, 1.0) * fan_in**-0.5

    return {"kernel_init": init, "bias_init": init}
