"""Dense and convolutional autoencoders."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from fdl.errors import UserError
from fdl.models.layers import conv
from fdl.models.layers.conv_transpose import ConvTranspose
from fdl.models.mlp import MLP
from fdl.types import Array


class Encoder(nn.Module):
    """Encoder: strided convolutions, if any, and a multilayer perceptron.

    Attributes:
      hidden_sizes: Numbers of units of the hidden layers of the perceptron.
      num_outputs: Size of the output layer; None omits it.
      features: Numbers of channels of the 4×4 convolutions, which have stride 2.
      activation: Activation after each layer except the output layer.
      dtype: Dtype of the computation; inferred from inputs and parameters if None.
      param_dtype: Dtype of the parameters.
    """

    hidden_sizes: Sequence[int]
    num_outputs: int | None
    features: Sequence[int]
    activation: Callable[[Array], Array]
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, inputs: Array) -> Array:
        """Maps inputs [B, ...] to [B, num_outputs]; convolutions need [B, H, W, C]."""
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        x = inputs
        for i, size in enumerate(self.features):
            # Kernels of 4 with padding 1 halve even sizes exactly.
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
    """Decoder that mirrors an `Encoder` of the same sizes.

    A multilayer perceptron and, if there are `features`, 4×4 transposed convolutions
    with stride 2. There is no activation after the last layer.

    Attributes:
      hidden_sizes: Numbers of units of the encoder's hidden layers, in its order.
      features: Numbers of channels of the encoder's convolutions, in its order.
      activation: Activation after each layer except the last.
      dtype: Dtype of the computation; inferred from inputs and parameters if None.
      param_dtype: Dtype of the parameters.
    """

    hidden_sizes: Sequence[int]
    features: Sequence[int]
    activation: Callable[[Array], Array]
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, code: Array, shape: Sequence[int]) -> Array:
        """Maps codes [B, D] to outputs, float [B, *shape].

        Raises:
          UserError: Height or width of `shape` is not divisible by
            2^(number of convolutions).
        """
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        bottleneck, channels = _mirrored_shapes(shape, self.features)
        x = MLP(
            hidden_sizes=tuple(reversed(self.hidden_sizes)),
            num_outputs=math.prod(bottleneck),
            activation=self.activation,
            name="mlp",
            **dtypes,
        )(code)
        x = x.reshape(x.shape[0], *bottleneck)
        for i, size in enumerate(channels):
            layer = ConvTranspose(
                size, kernel_size=4, stride=2, padding=1, name=f"conv_{i}", **dtypes
            )
            # The activation comes first, as the last layer has none.
            x = layer(self.activation(x))
        return x


class Autoencoder(nn.Module):
    """Autoencoder: reconstructs its inputs from a low-dimensional code.

    Reconstructions have no activation: for pixels between 0 and 1, the loss decides
    whether they are intensities or logits. The methods `encode` and `decode` are the
    two halves. Intermediates: ``code``.

    Attributes:
      hidden_sizes: Numbers of units of the encoder's hidden layers, mirrored in the
        decoder.
      code_size: Dimension of the code.
      features: Numbers of channels of the encoder's convolutions, each of which halves
        height and width; a dense autoencoder if empty.
      activation: Activation after each hidden layer.
      input_shape: Shape of an input, and of the outputs of `decode`.
      code_activation: Activation of the code, such as a ReLU for a sparse code; None
        for a linear code.
      dtype: Dtype of the computation; inferred from inputs and parameters if None.
      param_dtype: Dtype of the parameters.

    References:
      Hinton and Salakhutdinov, `Reducing the Dimensionality of Data with Neural
      Networks <https://doi.org/10.1126/science.1127647>`_, 2006.

    Example:
      >>> module = conv_autoencoder(code_size=5)
      >>> images = jnp.zeros((3, 28, 28, 1))
      >>> variables = jax.jit(module.init)(jax.random.key(0), images)
      >>> apply = jax.jit(module.apply, static_argnames="method")
      >>> code = apply(variables, images, method="encode")
      >>> code.shape, apply(variables, code, method="decode").shape
      ((3, 5), (3, 28, 28, 1))
    """

    hidden_sizes: Sequence[int]
    code_size: int
    features: Sequence[int] = ()
    activation: Callable[[Array], Array] = nn.relu
    input_shape: Sequence[int] = (28, 28, 1)
    code_activation: Callable[[Array], Array] | None = None
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    def setup(self) -> None:
        """Creates the encoder and the decoder."""
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        layers: Any = {"features": self.features, "activation": self.activation}
        self.encoder = Encoder(self.hidden_sizes, self.code_size, **layers, **dtypes)
        self.decoder = Decoder(self.hidden_sizes, **layers, **dtypes)

    def __call__(self, inputs: Array, *, train: bool = False) -> Array:
        """Maps inputs [B, ...] to reconstructions, float of the same shape."""
        del train  # No layer behaves differently in training.
        code = self.encode(inputs)
        self.sow("intermediates", "code", code)
        return self.decoder(code, inputs.shape[1:])

    def encode(self, inputs: Array) -> Array:
        """Maps inputs [B, ...] to codes, float [B, code_size]."""
        code = self.encoder(inputs)
        return code if self.code_activation is None else self.code_activation(code)

    def decode(self, code: Array) -> Array:
        """Maps codes [B, code_size] to reconstructions, float [B, *input_shape]."""
        return self.decoder(code, self.input_shape)

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Example inputs: one input of `input_shape`."""
        return (jax.ShapeDtypeStruct((1, *self.input_shape), jnp.float32),)


def deep_autoencoder(**options: Any) -> Autoencoder:
    """Deep autoencoder of MNIST, 784-1000-500-250-30; 2,837,314 parameters.

    Hidden units are logistic, and the code is linear. Outputs are the logits of the
    paper's pixels, for a sigmoid cross-entropy. Weights are initialised at random, and
    not by restricted Boltzmann machines as in the paper.

    Args:
      **options: Other attributes of `Autoencoder`.

    References:
      Hinton and Salakhutdinov, `Reducing the Dimensionality of Data with Neural
      Networks <https://doi.org/10.1126/science.1127647>`_, 2006.
    """
    published: Any = {"hidden_sizes": (1000, 500, 250), "code_size": 30}
    return Autoencoder(**{**published, "activation": nn.sigmoid, **options})


def conv_autoencoder(**options: Any) -> Autoencoder:
    """Small convolutional autoencoder of MNIST; 270,561 parameters.

    Args:
      **options: Other attributes of `Autoencoder`.
    """
    sizes: Any = {"hidden_sizes": (), "code_size": 32, "features": (32, 64)}
    return Autoencoder(**{**sizes, **options})


def _mirrored_shapes(shape, features):
    """Shape [h, w, c] at the bottleneck, and channels of each decoder convolution."""
    if not features:
        return tuple(shape), ()
    height, width, num_channels = shape
    factor = 2 ** len(features)
    if height % factor or width % factor:
        raise UserError(
            f"shape={tuple(shape)}: expected height and width divisible by {factor} "
            f"for {len(features)} convolutions with stride 2"
        )
    bottleneck = (height // factor, width // factor, features[-1])
    return bottleneck, (*reversed(features[:-1]), num_channels)
