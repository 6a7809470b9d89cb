"""Networks of Nielsen's "Neural Networks and Deep Learning" for 28×28 digits."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from flax.typing import Initializer

from fdl.models.cnn import CNN
from fdl.models.mlp import MLP
from fdl.types import Array, Key

_normal = nn.initializers.normal(1.0)
_zeros = nn.initializers.zeros


def nielsen_shallow(
    num_hidden: int = 30, *, large: bool = False, **options: Any
) -> MLP:
    """Nielsen [784, 30, 10] of chapters 1 to 3; 23,860 parameters, 79,510 with 100.

    A sigmoid multilayer perceptron. The sigmoid of the output layer is left to the
    loss: the module returns logits.

    Args:
      num_hidden: Units of the hidden layer.
      large: Whether weights are initialised from N(0, 1), as in chapter 1, instead of
        N(0, 1 / n) for n inputs, as in chapter 3. Biases are N(0, 1) in both.
      **options: Other attributes of `MLP`.

    References:
      Nielsen, `Neural Networks and Deep Learning
      <http://neuralnetworksanddeeplearning.com>`_, 2015.

    Example:
      >>> logits = jnp.array([0.0, 2.0])  # Of one example and two classes.
      >>> targets = jnp.array([0.0, 1.0])
      >>> 0.5 * jnp.sum((nn.sigmoid(logits) - targets) ** 2)  # Chapter 1: quadratic.
      Array(0.1321, dtype=float32)
    """
    return _sigmoid_mlp((num_hidden,), large, options)


def nielsen_deep(num_layers: int = 2, *, large: bool = False, **options: Any) -> MLP:
    """Nielsen [784, 30, 30, 10] of chapter 5; 24,790 parameters, 930 a further layer.

    The book's example of vanishing gradients: the first layers learn slowest.

    Args:
      num_layers: Number of hidden layers of 30 units: 2, 3 or 4 in the book.
      large: As in `nielsen_shallow`.
      **options: Other attributes of `MLP`.

    References:
      Nielsen, `Neural Networks and Deep Learning
      <http://neuralnetworksanddeeplearning.com>`_, 2015.
    """
    return _sigmoid_mlp((30,) * num_layers, large, options)


def nielsen_conv1_only(**options: Any) -> CNN:
    """Nielsen conv1 of chapter 6 without a hidden layer; 29,330 parameters.

    Args:
      **options: Other attributes of `CNN`.

    References:
      Nielsen, `Neural Networks and Deep Learning
      <http://neuralnetworksanddeeplearning.com>`_, 2015.
    """
    return _convolutional((20,), (), nn.sigmoid, options)


def nielsen_conv1(**options: Any) -> CNN:
    """Nielsen conv1 of chapter 6, one convolution and 100 units; 289,630 parameters.

    Args:
      **options: Other attributes of `CNN`.

    References:
      Nielsen, `Neural Networks and Deep Learning
      <http://neuralnetworksanddeeplearning.com>`_, 2015.
    """
    return _convolutional((20,), (100,), nn.sigmoid, options)


def nielsen_conv2(**options: Any) -> CNN:
    """Nielsen conv2 of chapter 6, two convolutions and 100 units; 85,670 parameters.

    Args:
      **options: Other attributes of `CNN`; later experiments of the book use
        ``activation=nn.relu``.

    References:
      Nielsen, `Neural Networks and Deep Learning
      <http://neuralnetworksanddeeplearning.com>`_, 2015.
    """
    return _convolutional((20, 40), (100,), nn.sigmoid, options)


def nielsen_conv2_two_hidden(num_hidden: int = 100, **options: Any) -> CNN:
    """Nielsen conv2 of chapter 6 with two hidden layers; 95,770 parameters.

    Args:
      num_hidden: Units of each hidden layer: 100, 300 or 1000 in the book.
      **options: Other attributes of `CNN`.

    References:
      Nielsen, `Neural Networks and Deep Learning
      <http://neuralnetworksanddeeplearning.com>`_, 2015.
    """
    return _convolutional((20, 40), (num_hidden, num_hidden), nn.relu, options)


def nielsen_conv2_dropout(**options: Any) -> CNN:
    """Nielsen conv2 with 2 × 1000 hidden units and dropout; 1,672,570 parameters.

    The most accurate single network of chapter 6. Dropout precedes all three dense
    layers, as in the author's code.

    Args:
      **options: Other attributes of `CNN`.

    References:
      Nielsen, `Neural Networks and Deep Learning
      <http://neuralnetworksanddeeplearning.com>`_, 2015.
    """
    return nielsen_conv2_two_hidden(
        1000, **{"dropout": 0.5, "pooled_dropout": 0.5, **options}
    )


def _sigmoid_mlp(hidden_sizes, large, options) -> MLP:
    scaled = nn.initializers.variance_scaling(1.0, "fan_in", "normal")
    defaults = {
        "num_outputs": 10,
        "activation": nn.sigmoid,
        "kernel_init": _normal if large else scaled,
        "bias_init": _normal,
    }
    return MLP(hidden_sizes, **{**defaults, **options})


def _convolutional(features, hidden_sizes, activation, options) -> CNN:
    defaults = {
        "num_outputs": 10,
        "kernel_size": 5,
        "padding": ("VALID",) * len(features),
        "activation": activation,
        "kernel_init": _fan_out_normal,
        "bias_init": _normal,
        # The softmax layer of the book's `network3.py` starts at zero.
        "head_init": (_zeros, _zeros),
    }
    return CNN(features, hidden_sizes, **{**defaults, **options})


def _fan_out_normal(key: Key, shape: Any, dtype: Any = jnp.float32) -> Array:
    """Normal initialiser N(0, 1 / n), with n the fan-out after pooling."""
    # A 2×2 max-pooling follows each convolution and leaves a quarter of its fan-out,
    # hence four times the variance. Only kernels of convolutions have four axes.
    scale = 4.0 if len(shape) == 4 else 1.0
    init: Initializer = nn.initializers.variance_scaling(scale, "fan_out", "normal")
    return init(key, shape, dtype)
