"""Autoencoders, dense and convolutional."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from fdl.models.layers import conv
from fdl.models.layers.conv_transpose import ConvTranspose
from fdl.models.mlp import MLP
from fdl.types import Array


class Encoder(nn.Module):
    """Convolutions, if any, and a multilayer perceptron.

    Attributes:
      hidden_sizes: Units of each hidden layer of the perceptron.
      num_outputs: Size of its readout; none where None.
      features: Channels of each 4×4 convolution; each halves height and width.
      activation: Applied after each layer but the readout.
      dtype: What is computed in; that of inputs and parameters where None.
      param_dtype: What parameters are stored in.
    """

    hidden_sizes: Sequence[int]
    num_outputs: int | None
    features: Sequence[int]
    activation: Callable[[Array], Array]
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, inputs: Array) -> Array:
        """Maps inputs [B, ...], images where it convolves, to [B, num_outputs]."""
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        x = inputs
        for i, size in enumerate(self.features):
            x = conv(size, (4, 4), strides=2, padding=1, name=f"conv_{i}", **dtypes)(x)
            x = self.activation(x)
        return MLP(
            hidden_sizes=self.hidden_sizes,
            num_outputs=self.num_outputs,
            activation=self.activation,
            name="mlp",
            **dtypes,
        )(x)


class Decoder(nn.Module):
    """The mirror image of an encoder of the same sizes.

    Transposed convolutions double height and width. There is no activation after the
    last layer.

    Attributes:
      hidden_sizes: Units of each hidden layer of the encoder's perceptron.
      features: Channels of each convolution of the encoder.
      activation: Applied after each layer but the last.
      dtype: What is computed in; that of inputs and parameters where None.
      param_dtype: What parameters are stored in.
    """

    hidden_sizes: Sequence[int]
    features: Sequence[int]
    activation: Callable[[Array], Array]
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, code: Array, shape: Sequence[int]) -> Array:
        """Maps a code [B, D] to outputs, float [B, *shape].

        Raises:
          ValueError: Images of that shape cannot be halved often enough.
        """
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        small, channels = _small(shape, self.features)
        x = MLP(
            hidden_sizes=tuple(reversed(self.hidden_sizes)),
            num_outputs=math.prod(small),
            activation=self.activation,
            name="mlp",
            **dtypes,
        )(code)
        x = x.reshape(x.shape[0], *small)
        for i, size in enumerate(channels):
            layer = ConvTranspose(
                size, kernel_size=4, stride=2, padding=1, name=f"conv_{i}", **dtypes
            )
            x = layer(self.activation(x))
        return x


class Autoencoder(nn.Module):
    """Squeezes its inputs through a few numbers, the code, and restores them.

    There is no activation after the code and after the restorations: for pixels between
    0 and 1 these serve as such, or as their logits, as the loss will have it. Methods
    `encode` and `decode` are the halves. Intermediates: ``code``.

    Attributes:
      hidden_sizes: Units of the encoder's dense layers; the decoder mirrors them.
      code_size: Numbers that the code has.
      features: Channels of the convolutions that come first, on images; each halves
        height and width. None makes a dense autoencoder.
      activation: Applied after each hidden layer.
      input_shape: Shape of an example, which `decode` restores.
      dtype: What is computed in; that of inputs and parameters where None.
      param_dtype: What parameters are stored in.

    References:
      Hinton and Salakhutdinov, `Reducing the Dimensionality of Data with Neural
      Networks <https://doi.org/10.1126/science.1127647>`_, 2006.

    Example:
      >>> module = conv_autoencoder(code_size=5)
      >>> variables = module.init(jax.random.key(0), jnp.zeros((1, 28, 28, 1)))
      >>> code = module.apply(variables, jnp.zeros((3, 28, 28, 1)), method="encode")
      >>> code.shape, module.apply(variables, code, method="decode").shape
      ((3, 5), (3, 28, 28, 1))
    """

    hidden_sizes: Sequence[int]
    code_size: int
    features: Sequence[int] = ()
    activation: Callable[[Array], Array] = nn.relu
    input_shape: Sequence[int] = (28, 28, 1)
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    def setup(self) -> None:
        """Makes the halves."""
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        layers: Any = {"features": self.features, "activation": self.activation}
        self.encoder = Encoder(self.hidden_sizes, self.code_size, **layers, **dtypes)
        self.decoder = Decoder(self.hidden_sizes, **layers, **dtypes)

    def __call__(self, inputs: Array, *, train: bool = False) -> Array:
        """Maps inputs [B, ...] to their restorations, float of the same shape."""
        del train  # It does the same in training.
        code = self.encode(inputs)
        self.sow("intermediates", "code", code)
        return self.decoder(code, inputs.shape[1:])

    def encode(self, inputs: Array) -> Array:
        """Maps inputs [B, ...] to their codes, float [B, code_size]."""
        return self.encoder(inputs)

    def decode(self, code: Array) -> Array:
        """Maps codes [B, code_size] to restorations, float [B, *input_shape]."""
        return self.decoder(code, self.input_shape)

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """One example of `input_shape`; a dense autoencoder takes others too."""
        return (jax.ShapeDtypeStruct((1, *self.input_shape), jnp.float32),)


def deep_autoencoder(**options: Any) -> Autoencoder:
    """The deep autoencoder of MNIST, 784-1000-500-250-30; 2,837,314 parameters.

    Its hidden units are logistic, its code is linear. Its outputs are the logits of the
    paper's pixels, as the cross-entropy has them. The paper starts from weights of
    restricted Boltzmann machines, this one from random ones.

    Args:
      **options: All others of `Autoencoder`.

    References:
      Hinton and Salakhutdinov, `Reducing the Dimensionality of Data with Neural
      Networks <https://doi.org/10.1126/science.1127647>`_, 2006.
    """
    published: Any = {"hidden_sizes": (1000, 500, 250), "code_size": 30}
    return Autoencoder(**{**published, "activation": nn.sigmoid, **options})


def conv_autoencoder(**options: Any) -> Autoencoder:
    """A small convolutional autoencoder of MNIST; 270,561 parameters.

    Args:
      **options: All others of `Autoencoder`.
    """
    sizes: Any = {"hidden_sizes": (), "code_size": 32, "features": (32, 64)}
    return Autoencoder(**{**sizes, **options})


def _small(shape, features):
    """What the convolutions of an encoder make of a shape, and channels on the way."""
    if not features:
        return tuple(shape), ()
    height, width, num_channels = shape
    factor = 2 ** len(features)
    if height % factor or width % factor:
        raise ValueError(
            f"{len(features)} convolutions need images whose height and width divide "
            f"by {factor}, and not {height}x{width}."
        )
    small = (height // factor, width // factor, features[-1])
    return small, (*reversed(features[:-1]), num_channels)
