"""AlexNet, with two towers (2012) and with one (2014)."""

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
    """AlexNet: five convolutions and three fully connected layers.

    Adaptive average pooling to 6×6 lets the dense layers take images of any size; for
    those of `example` it is the identity. Intermediates: ``layer1`` to ``layer5``, the
    outputs of the convolutions after normalisation and pooling, and ``hidden_0`` and
    ``hidden_1``, those of the hidden layers.

    Attributes:
      features: Numbers of channels of the five convolutions.
      hidden_sizes: Numbers of units of the hidden layers.
      num_classes: Number of classes; None omits the classification layer and returns
        the last hidden layer.
      towers: Number of channel groups in conv2, conv4 and conv5; the two of the paper
        ran on one GPU each.
      response_norm: Whether to apply local response normalisation after conv1 and
        conv2, across all groups.
      pool_size: Window of the max-pooling with stride 2; windows of 3 overlap.
      original: Whether to use the padding of conv1 (0), the placement of dropout (after
        each hidden layer) and the initialisation of 2012; otherwise torchvision's:
        padding 2, dropout before each hidden layer, and PyTorch's initialisation.
      dropout: Dropout rate of the hidden layers.
      dtype: Dtype of the computation; inferred from inputs and parameters if None.
      param_dtype: Dtype of the parameters.

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
        x = jax.lax.collapse(x, 1)
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
            # Only conv2, conv4 and conv5 are grouped: in the paper, conv3 and the dense
            # layers are where the GPUs exchange their activations.
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
        """Example inputs: one image of 227×227 for `original`, else of 224×224."""
        # The paper says 224, but its 55×55 outputs of conv1 need 227 without padding.
        size = 227 if self.original else 224
        return (jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32),)

    def checkpoints(self) -> Mapping[str, Rules]:
        """Conversion rules of pretrained weights, which exist for one tower only."""
        if self.original:
            return {}
        # The rules reorder the first dense kernel, whose rows depend on the channels.
        return {"torchvision": formats.torchvision(self.features[-1])}


def alexnet(**options: Any) -> AlexNet:
    """AlexNet as published, with two towers; 60,965,224 parameters.

    Args:
      **options: Other attributes of `AlexNet`. With ``towers=1`` it has 62,378,344
        parameters.
    """
    return AlexNet(**options)


def alexnet_one_tower(**options: Any) -> AlexNet:
    """AlexNet with one tower, as in torchvision; 61,100,840 parameters.

    Args:
      **options: Other attributes of `AlexNet`.

    References:
      Krizhevsky, `One weird trick for parallelizing convolutional neural networks
      <https://arxiv.org/abs/1404.5997>`_, 2014.
    """
    defaults = {"towers": 1, "response_norm": False, "original": False}
    return AlexNet((64, 192, 384, 256, 256), **{**defaults, **options})


def published_init(fan_in: int, *, active: bool) -> dict[str, Initializer]:
    """Initialisers of the paper: kernels N(0, 0.01²), biases 1 if `active`, else 0.

    Biases of 1 give the ReLUs positive inputs in the first steps.
    """
    del fan_in  # The published deviation is the same for all layers.
    bias_init = nn.initializers.constant(1.0 if active else 0.0)
    return {"kernel_init": nn.initializers.normal(0.01), "bias_init": bias_init}


def torch_init(fan_in: int, *, active: bool) -> dict[str, Initializer]:
    """Initialisers of PyTorch: kernels and biases U(±1/√fan_in)."""
    del active  # Biases do not depend on the activation.

    def init(key, shape, dtype=jnp.float32, **options):
        del options  # Flax passes the sharding to initialisers.
        return jax.random.uniform(key, shape, dtype, -1.0, 1.0) * fan_in**-0.5

    return {"kernel_init": init, "bias_init": init}
