"""Normalising flow of values between 0 and 1, such as dequantised pixels."""

import math
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from fdl.errors import UserError
from fdl.types import Array


class LogitFlow(nn.Module):
    """Normalising flow behind a logit, for values between 0 and 1.

    The flow has the vectors y = logit(α + (1 − 2α) x), which are not bounded, so that
    no density is lost outside of [0, 1]. The density of x is that of y times
    Π (1 − 2α) / (v (1 − v)) with v = α + (1 − 2α) x.

    Calling the module returns log-densities of x; `forward` maps data to noise, and
    `inverse` noise to samples from −α / (1 − 2α) to 1 + α / (1 − 2α).

    Attributes:
      flow: Flow of vectors with the methods `forward` and `inverse`, such as `RealNVP`.
      alpha: Distance α of the logit's argument from 0 and 1, above 0 and below ½.
      input_shape: Shape of an example, whose values are D coordinates.

    References:
      Dinh, Sohl-Dickstein and Bengio, `Density Estimation Using Real NVP
      <https://arxiv.org/abs/1605.08803>`_, 2016, section 4.1.

    Example:
      >>> from fdl.models import RealNVP
      >>> module = LogitFlow(RealNVP(2, (8,)), input_shape=(2, 2, 1))
      >>> images = jnp.full((3, 2, 2, 1), 0.25)
      >>> variables = jax.jit(module.init)(jax.random.key(0), images)
      >>> apply = jax.jit(module.apply, static_argnames="method")
      >>> noise, _ = apply(variables, images, method="forward")
      >>> samples, _ = apply(variables, noise, method="inverse")
      >>> noise.shape, bool(jnp.allclose(samples, images, atol=1e-6))
      ((3, 4), True)
    """

    flow: nn.Module
    alpha: float = 0.05
    input_shape: Sequence[int] = (28, 28, 1)

    def __call__(self, inputs: Array, *, train: bool = False) -> Array:
        """Maps values in [0, 1], [B, ...], to their log-densities, float [B]."""
        del train  # Training and evaluation are the same.
        z, log_det = self.forward(inputs)
        log_normal = -0.5 * (jnp.square(z) + math.log(2 * math.pi)).sum(axis=-1)
        return log_normal + log_det

    def forward(self, x: Array) -> tuple[Array, Array]:
        """Maps data [B, ...] to noise [B, D] and log |det| of the Jacobian, float [B].

        Raises:
          UserError: α is not between 0 and ½.
        """
        if not 0 < self.alpha < 0.5:
            raise UserError(f"alpha={self.alpha}: expected above 0 and below 0.5")
        v = self.alpha + (1 - 2 * self.alpha) * x.reshape(len(x), -1)
        log_slope = math.log(1 - 2 * self.alpha) - jnp.log(v) - jnp.log1p(-v)
        z, log_det = self.flow.forward(jnp.log(v) - jnp.log1p(-v))
        return z, log_det + log_slope.sum(axis=-1)

    def inverse(self, z: Array) -> tuple[Array, Array]:
        """Maps noise [B, D] to data [B, *input_shape] and log |det| of this map."""
        y, log_det = self.flow.inverse(z)
        x = (nn.sigmoid(y) - self.alpha) / (1 - 2 * self.alpha)
        log_slope = nn.log_sigmoid(y) + nn.log_sigmoid(-y)
        log_det += (log_slope - math.log(1 - 2 * self.alpha)).sum(axis=-1)
        return x.reshape(len(z), *self.input_shape), log_det

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Shape of one example, `input_shape`."""
        return (jax.ShapeDtypeStruct((1, *self.input_shape), jnp.float32),)
