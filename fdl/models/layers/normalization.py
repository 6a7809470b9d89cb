"""Normalisations."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from fdl.types import Array


def layer_norm(epsilon: float = 1e-6, **options: Any) -> nn.LayerNorm:
    """A `flax.linen.LayerNorm` that is exact also where the mean is large.

    Flax computes the variance as E[x²] - E[x]², which loses every digit of an input
    whose mean is 10⁴ and whose deviation is 1. This takes the mean out first.

    Args:
      epsilon: Added to the variance. PyTorch's layers have 1e-5, most ViTs 1e-6,
        BERT 1e-12.
      **options: All others of `flax.linen.LayerNorm`.

    References:
      Ba, Kiros and Hinton, `Layer Normalization <https://arxiv.org/abs/1607.06450>`_,
      2016.
    """
    return nn.LayerNorm(epsilon=epsilon, use_fast_variance=False, **options)


def local_response_norm(
    x: Array, size: int = 5, k: float = 2.0, alpha: float = 1e-4, beta: float = 0.75
) -> Array:
    """Divides each channel by how active its neighbours are at the same place.

    bᵢ = aᵢ / (k + α Σⱼ aⱼ²)^β over the `size` channels j around i. This is the
    paper's α; PyTorch and Caffe divide theirs by `size`.

    Args:
      x: float [..., C].
      size: Channels of a neighbourhood, odd.
      k: What an inactive neighbourhood counts.
      alpha: Weight of the activity.
      beta: Its exponent.

    References:
      Krizhevsky, Sutskever and Hinton, `ImageNet Classification with Deep
      Convolutional Neural Networks <https://doi.org/10.1145/3065386>`_, 2012,
      section 3.3.
    """
    half = size // 2
    around = [(0, 0)] * (x.ndim - 1) + [(half, half)]
    squares = jnp.pad(jnp.square(x), around)
    channels = x.shape[-1]
    activity = sum(squares[..., i : i + channels] for i in range(size))
    return x / (k + alpha * activity) ** beta
