"""Stochastic depth (DropPath)."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from fdl.types import Array


class StochasticDepth(nn.Module):
    """Stochastic depth: drops a residual branch for random examples in training.

    The other examples are scaled up, so that the expectation stays the same.

    Attributes:
      rate: Probability that the branch of an example is dropped; a float, or an array
        float [] in a scanned layer.

    References:
      Huang et al., `Deep Networks with Stochastic Depth
      <https://arxiv.org/abs/1603.09382>`_, 2016.
    """

    rate: float | Array = 0.0

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Maps the output x [B, ...] of a branch to that with some examples zeroed."""
        # The rates of scanned layers are traced, so their zero cannot be tested for.
        if not train or (isinstance(self.rate, float) and self.rate == 0.0):
            return x
        keep_rate = 1.0 - self.rate
        shape = (x.shape[0],) + (1,) * (x.ndim - 1)
        keep = jax.random.bernoulli(self.make_rng("dropout"), keep_rate, shape)
        # The maximum avoids a division by zero at a rate of one, which keeps nothing.
        scale = jnp.where(keep, 1.0 / jnp.maximum(keep_rate, 1e-6), 0.0)
        return x * scale.astype(x.dtype)
