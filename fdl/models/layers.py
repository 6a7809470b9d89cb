"""Layers that flax lacks, or has with other defaults or at another speed."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from fdl.models.patches import conv as conv
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


def max_pool(
    images: Array, window: int, stride: int | None = None, padding: int = 0
) -> Array:
    """The maximum of each window of [B, H, W, C]; incomplete windows are dropped.

    The same as `flax.linen.max_pool`. Where windows do not overlap, a tie shares the
    gradient, which costs a tenth on the CPU.

    Args:
      images: float [B, H, W, C].
      window: Height and width of a window, in pixels.
      stride: From one window to the next; that of windows that do not overlap.
      padding: Pixels of -inf around the images.

    Example:
      >>> max_pool(jnp.arange(16.0).reshape(1, 4, 4, 1), 2).squeeze()
      Array([[ 5.,  7.],
             [13., 15.]], dtype=float32)
    """
    if padding or (stride or window) != window:
        strides, pads = (stride or window,) * 2, ((padding, padding),) * 2
        return nn.max_pool(images, (window, window), strides, pads)
    b, h, w, c = images.shape
    h, w = h // window, w // window
    images = images[:, : h * window, : w * window]
    return images.reshape(b, h, window, w, window, c).max(axis=(2, 4))


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


class StochasticDepth(nn.Module):
    """Drops a residual branch of some examples in training, and scales up the rest.

    Attributes:
      rate: Chance that the branch of an example is dropped; float, or float [] where
        a scanned layer has its own.

    References:
      Huang et al., `Deep Networks with Stochastic Depth
      <https://arxiv.org/abs/1603.09382>`_, 2016.
    """

    rate: float | Array = 0.0

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Maps the branch's output x [B, ...] to what is added, of the same shape."""
        if not train or (isinstance(self.rate, float) and self.rate == 0.0):
            return x
        keep = 1.0 - self.rate
        shape = (x.shape[0],) + (1,) * (x.ndim - 1)
        kept = jax.random.bernoulli(self.make_rng("dropout"), keep, shape)
        scale = jnp.where(kept, 1.0 / jnp.maximum(keep, 1e-6), 0.0)
        return x * scale.astype(x.dtype)
