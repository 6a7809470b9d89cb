"""The networks of Michael Nielsen's book, on digits of 28×28."""

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

    Sigmoids all through. The last of them belongs to the loss: the outputs are logits,
    as everywhere here.

    Args:
      num_hidden: Units of the hidden layer.
      large: Whether it begins with the weights of chapter 1, N(0, 1), and not with
        those of chapter 3, N(0, 1 / n) for n inputs. Biases are N(0, 1) in both.
      **options: All others of `MLP`.

    References:
      Nielsen, `Neural Networks and Deep Learning
      <http://neuralnetworksanddeeplearning.com>`_, 2015.

    Example:
      >>> logits = jnp.array([0.0, 2.0])  # Of one example and two classes.
      >>> targets = jnp.array([0.0, 1.0])
      >>> 0.5 * jnp.sum((nn.sigmoid(logits) - targets) ** 2)  # Chapter 1: quadratic.
      Array(0.1321, dtype=float32)
    """
    return _sigmoids((num_hidden,), large, options)


def nielsen_deep(num_layers: int = 2, *, large: bool = False, **options: Any) -> MLP:
    """Nielsen [784, 30, 30, 10] of chapter 5; 24,790 parameters, 930 a further layer.

    The ones whose first layers learn so slowly, as their gradients vanish.

    Args:
      num_layers: Hidden layers of 30 units: 2, 3 or 4 in the book.
      large: As in `nielsen_shallow`.
      **options: All others of `MLP`.

    References:
      Nielsen, `Neural Networks and Deep Learning
      <http://neuralnetworksanddeeplearning.com>`_, 2015.
    """
    return _sigmoids((30,) * num_layers, large, options)


def nielsen_conv1_only(**options: Any) -> CNN:
    """Nielsen conv1 without a hidden layer, of chapter 6; 29,330 parameters.

    Args:
      **options: All others of `CNN`.

    References:
      Nielsen, `Neural Networks and Deep Learning
      <http://neuralnetworksanddeeplearning.com>`_, 2015.
    """
    return _convolutional((20,), (), nn.sigmoid, options)


def nielsen_conv1(**options: Any) -> CNN:
    """Nielsen conv1 of chapter 6, one convolution and 100 units; 289,630 parameters.

    Args:
      **options: All others of `CNN`.

    References:
      Nielsen, `Neural Networks and Deep Learning
      <http://neuralnetworksanddeeplearning.com>`_, 2015.
    """
    return _convolutional((20,), (100,), nn.sigmoid, options)


def nielsen_conv2(**options: Any) -> CNN:
    """Nielsen conv2 of chapter 6, two convolutions and 100 units; 85,670 parameters.

    Args:
      **options: All others of `CNN`; the book goes on with ``activation=nn.relu``.

    References:
      Nielsen, `Neural Networks and Deep Learning
      <http://neuralnetworksanddeeplearning.com>`_, 2015.
    """
    return _convolutional((20, 40), (100,), nn.sigmoid, options)


def nielsen_conv2_two_hidden(num_hidden: int = 100, **options: Any) -> CNN:
    """Nielsen conv2 with two hidden layers, of chapter 6; 95,770 parameters.

    Args:
      num_hidden: Units of each hidden layer: 100, 300 or 1000 in the book.
      **options: All others of `CNN`.

    References:
      Nielsen, `Neural Networks and Deep Learning
      <http://neuralnetworksanddeeplearning.com>`_, 2015.
    """
    return _convolutional((20, 40), (num_hidden, num_hidden), nn.relu, options)


def nielsen_conv2_dropout(**options: Any) -> CNN:
    """Nielsen's best, of chapter 6: 2 × 1000 units and dropout; 1,672,570 parameters.

    Dropout is in front of all three dense layers, as in his code.

    Args:
      **options: All others of `CNN`.

    References:
      Nielsen, `Neural Networks and Deep Learning
      <http://neuralnetworksanddeeplearning.com>`_, 2015.
    """
    return nielsen_conv2_two_hidden(
        1000, **{"dropout": 0.5, "pooled_dropout": 0.5, **options}
    )


def _sigmoids(hidden_sizes, large, options) -> MLP:
    improved = nn.initializers.variance_scaling(1.0, "fan_in", "normal")
    defaults = {
        "num_outputs": 10,
        "activation": nn.sigmoid,
        "kernel_init": _normal if large else improved,
        "bias_init": _normal,
    }
    return MLP(hidden_sizes, **{**defaults, **options})


def _convolutional(features, hidden_sizes, activation, options) -> CNN:
    defaults = {
        "num_outputs": 10,
        "kernel_size": 5,
        "padding": ("VALID",) * len(features),
        "activation": activation,
        "kernel_init": _over_outputs,
        "bias_init": _normal,
        "head_init": (_zeros, _zeros),
    }
    return CNN(features, hidden_sizes, **{**defaults, **options})


def _over_outputs(key: Key, shape: Any, dtype: Any = jnp.float32) -> Array:
    """N(0, 1 / n) for n outputs; pooling leaves a quarter of a convolution's."""
    scale = 4.0 if len(shape) == 4 else 1.0
    init: Initializer = nn.initializers.variance_scaling(scale, "fan_out", "normal")
    return init(key, shape, dtype)
