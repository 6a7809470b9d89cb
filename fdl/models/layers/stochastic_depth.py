"""Stochastic depth."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from fdl.types import Array


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
