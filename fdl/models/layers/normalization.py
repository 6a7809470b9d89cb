"""Layer normalisation and local response normalisation."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from fdl.types import Array


def layer_norm(epsilon: float = 1e-6, **options: Any) -> nn.LayerNorm:
    """Layer normalisation with a two-pass variance.

    By default, `flax.linen.LayerNorm` computes the variance as E[x²] - E[x]², which
    cancels to nothing in float32 where the mean is 10⁴ and the standard deviation 1.
    Here the mean is subtracted first.

    Args:
      epsilon: Added to the variance. PyTorch's default is 1e-5; most ViTs have 1e-6,
        BERT 1e-12.
      **options: Further attributes of `flax.linen.LayerNorm`.

    References:
      Ba, Kiros and Hinton, `Layer Normalization <https://arxiv.org/abs/1607.06450>`_,
      2016.
    """
    return nn.LayerNorm(epsilon=epsilon, use_fast_variance=False, **options)


def local_response_norm(
    x: Array, size: int = 5, k: float = 2.0, alpha: float = 1e-4, beta: float = 0.75
) -> Array:
    """Local response normalisation across channels.

    bᵢ = aᵢ / (k + α Σⱼ aⱼ²)^β, with the sum over the `size` channels j around i. This
    is the paper's α; PyTorch and Caffe divide theirs by `size`.

    Args:
      x: Activations, float [..., C].
      size: Number of channels of a neighbourhood, odd.
      k: Additive constant.
      alpha: Weight of the sum of squares.
      beta: Exponent.

    References:
      Krizhevsky, Sutskever and Hinton, `ImageNet Classification with Deep
      Convolutional Neural Networks <https://doi.org/10.1145/3065386>`_, 2012,
      section 3.3.
    """
    half = size // 2
    pad_width = [(0, 0)] * (x.ndim - 1) + [(half, half)]
    squares = jnp.pad(jnp.square(x), pad_width)
    channels = x.shape[-1]
    sum_of_squares = sum(squares[..., i : i + channels] for i in range(size))
    return x / (k + alpha * sum_of_squares) ** beta
