"""Normalising flows: densities whose samples and probabilities are both exact."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from fdl.models.mlp import MLP
from fdl.types import Array


class ScaleAndShift(nn.Module):
    """Two perceptrons that say how much to scale and to shift by.

    Attributes:
      hidden_sizes: Units of the hidden layers of each.
      activation: Applied after each hidden layer.
      max_log_scale: The bound of the logarithm of the scale, by a tanh.
      dtype: What is computed in; that of inputs and parameters where None.
      param_dtype: What parameters are stored in.
    """

    hidden_sizes: Sequence[int]
    activation: Callable[[Array], Array] = nn.relu
    max_log_scale: float = 1.0
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: Array) -> tuple[Array, Array]:
        """Maps x [B, D] to logarithms of scales, and shifts, both of x's type."""
        sizes: Any = {"hidden_sizes": self.hidden_sizes, "num_outputs": x.shape[-1]}
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        log_scale, shift = (
            MLP(**sizes, activation=self.activation, name=name, **dtypes)(x)
            for name in ("log_scale", "shift")
        )
        log_scale = self.max_log_scale * nn.tanh(log_scale)
        # The flow itself keeps the precision of its inputs, so that it can be undone.
        return log_scale.astype(x.dtype), shift.astype(x.dtype)


class RealNVP(nn.Module):
    """A flow of vectors: a map to normal noise that can be undone, and so a density.

    Each layer keeps every other number and scales and shifts the rest by what the kept
    ones say: with a mask m of zeros and ones, z = m ⊙ x + (1 - m) ⊙ (x ⊙ exp(s(m ⊙ x))
    + t(m ⊙ x)). Its Jacobian is triangular, with log |det| = Σ (1 - m) ⊙ s(m ⊙ x). The
    next layer keeps the others. Then log p(x) = log N(z; 0, I) + log |det|.

    Called, it returns the density; `forward` maps to noise, and `inverse` maps noise to
    samples.

    Attributes:
      num_layers: How many layers there are.
      hidden_sizes: Units of the hidden layers of each s, and of each t.
      activation: Applied after each hidden layer.
      max_log_scale: The bound of |s|, by a tanh.
      input_shape: Shape of a vector.
      remat: Whether what s and t compute is computed again in the backward pass.
      dtype: What s and t are computed in; that of inputs and parameters where None.
      param_dtype: What parameters are stored in.

    References:
      Dinh, Sohl-Dickstein and Bengio, `Density Estimation Using Real NVP
      <https://arxiv.org/abs/1605.08803>`_, 2016.

    Example:
      >>> flow = RealNVP(num_layers=2, hidden_sizes=(8,))
      >>> variables = flow.init(jax.random.key(0), jnp.zeros((1, 2)))
      >>> noise = jax.random.normal(jax.random.key(1), (5, 2))
      >>> samples, _ = flow.apply(variables, noise, method="inverse")
      >>> again, _ = flow.apply(variables, samples, method="forward")
      >>> bool(jnp.allclose(noise, again, atol=1e-5))
      True
    """

    num_layers: int
    hidden_sizes: Sequence[int]
    activation: Callable[[Array], Array] = nn.relu
    max_log_scale: float = 1.0
    input_shape: Sequence[int] = (2,)
    remat: bool = False
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    def setup(self) -> None:
        """Makes the networks of each layer."""
        network = nn.remat(ScaleAndShift) if self.remat else ScaleAndShift
        self.layers = [
            network(
                self.hidden_sizes,
                self.activation,
                self.max_log_scale,
                self.dtype,
                self.param_dtype,
            )
            for _ in range(self.num_layers)
        ]

    def __call__(self, inputs: Array, *, train: bool = False) -> Array:
        """Maps vectors [B, D] to the logarithms of their densities, float [B]."""
        del train  # It does the same in training.
        z, log_det = self.forward(inputs)
        log_normal = -0.5 * (jnp.square(z) + math.log(2 * math.pi)).sum(axis=-1)
        return log_normal + log_det

    def forward(self, x: Array) -> tuple[Array, Array]:
        """Maps x [B, D] to noise [B, D], and log |det| of the Jacobian, float [B]."""
        log_det = jnp.zeros(x.shape[0], x.dtype)
        for i, layer in enumerate(self.layers):
            kept = self._kept(i, x)
            log_scale, shift = layer(jnp.where(kept, x, 0))
            x = jnp.where(kept, x, x * jnp.exp(log_scale) + shift)
            log_det += jnp.where(kept, 0, log_scale).sum(axis=-1)
        return x, log_det

    def inverse(self, z: Array) -> tuple[Array, Array]:
        """Maps noise [B, D] to x, and log |det| of that Jacobian: undoes `forward`."""
        log_det = jnp.zeros(z.shape[0], z.dtype)
        for i, layer in reversed([*enumerate(self.layers)]):
            kept = self._kept(i, z)
            log_scale, shift = layer(jnp.where(kept, z, 0))
            z = jnp.where(kept, z, (z - shift) * jnp.exp(-log_scale))
            log_det -= jnp.where(kept, 0, log_scale).sum(axis=-1)
        return z, log_det

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """One vector."""
        return (jax.ShapeDtypeStruct((1, *self.input_shape), jnp.float32),)

    def _kept(self, layer: int, x: Array) -> Array:
        """Which numbers a layer keeps, bool of the shape of x."""
        return jnp.broadcast_to(jnp.arange(x.shape[-1]) % 2 == layer % 2, x.shape)


def realnvp(**options: Any) -> RealNVP:
    """A flow of points in the plane, of six layers; 804,888 parameters.

    Args:
      **options: All others of `RealNVP`.

    References:
      Dinh, Sohl-Dickstein and Bengio, `Density Estimation Using Real NVP
      <https://arxiv.org/abs/1605.08803>`_, 2016.
    """
    return RealNVP(**{"num_layers": 6, "hidden_sizes": (256, 256), **options})
