"""Normalising flows with exact likelihoods and exact sampling: RealNVP."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from fdl.errors import UserError
from fdl.models.mlp import MLP
from fdl.types import Array


class ScaleAndShift(nn.Module):
    """Scale and shift networks of an affine coupling layer: two MLPs.

    Attributes:
      hidden_sizes: Units of the hidden layers of each network.
      activation: Activation after each hidden layer.
      max_log_scale: Bound of the absolute log-scale, enforced by a tanh.
      dtype: Computation dtype; that of inputs and parameters if None.
      param_dtype: Dtype of the parameters.
    """

    hidden_sizes: Sequence[int]
    activation: Callable[[Array], Array] = nn.relu
    max_log_scale: float = 1.0
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: Array) -> tuple[Array, Array]:
        """Maps x [B, D] to log-scales and shifts, both [B, D] in the dtype of x."""
        sizes: Any = {"hidden_sizes": self.hidden_sizes, "num_outputs": x.shape[-1]}
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        log_scale, shift = (
            MLP(**sizes, activation=self.activation, name=name, **dtypes)(x)
            for name in ("log_scale", "shift")
        )
        log_scale = self.max_log_scale * nn.tanh(log_scale)
        # The coupling itself keeps the precision of its inputs, whatever `dtype` the
        # networks compute in: rounding there would make `inverse` inexact.
        return log_scale.astype(x.dtype), shift.astype(x.dtype)


class RealNVP(nn.Module):
    """RealNVP: a normalising flow of affine coupling layers with alternating masks.

    Each layer passes every other coordinate through unchanged, and scales and shifts
    the rest by functions of these: with a binary mask m, z = m ⊙ x + (1 - m) ⊙
    (x ⊙ exp(s(m ⊙ x)) + t(m ⊙ x)). Its Jacobian is triangular, with log |det| =
    Σ (1 - m) ⊙ s(m ⊙ x). Masks alternate between layers. The density is
    log p(x) = log N(z; 0, I) + log |det|.

    Calling the module returns log-densities; `forward` maps data to noise, and
    `inverse` maps noise to samples.

    Attributes:
      num_layers: Number of coupling layers.
      hidden_sizes: Units of the hidden layers of each s and of each t.
      activation: Activation after each hidden layer.
      max_log_scale: Bound of |s|, enforced by a tanh.
      input_shape: Shape of a vector, for `example` only.
      remat: Whether to rematerialise s and t in the backward pass.
      dtype: Computation dtype of s and t; that of inputs and parameters if None.
      param_dtype: Dtype of the parameters.

    References:
      Dinh, Sohl-Dickstein and Bengio, `Density Estimation Using Real NVP
      <https://arxiv.org/abs/1605.08803>`_, 2016.

    Example:
      >>> flow = RealNVP(num_layers=2, hidden_sizes=(8,))
      >>> noise = jax.random.normal(jax.random.key(1), (5, 2))
      >>> variables = jax.jit(flow.init)(jax.random.key(0), noise)
      >>> apply = jax.jit(flow.apply, static_argnames="method")
      >>> samples, _ = apply(variables, noise, method="inverse")
      >>> again, _ = apply(variables, samples, method="forward")
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
        """Creates the scale and shift networks of each layer."""
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
        """Maps vectors [B, D] to their log-densities, float [B]."""
        del train  # Training and evaluation are the same.
        z, log_det = self.forward(inputs)
        log_normal = -0.5 * (jnp.square(z) + math.log(2 * math.pi)).sum(axis=-1)
        return log_normal + log_det

    def forward(self, x: Array) -> tuple[Array, Array]:
        """Maps data [B, D] to noise [B, D] and log |det| of the Jacobian, float [B].

        Raises:
          UserError: The data has one coordinate only, or is not [B, D].
        """
        if x.ndim != 2 or x.shape[1] < 2:
            raise UserError(
                f"inputs of shape {[*x.shape]}: expected [B, D] with D of at least 2: "
                "coupling layers scale some coordinates by functions of the others"
            )
        log_det = jnp.zeros(x.shape[0], x.dtype)
        for i, layer in enumerate(self.layers):
            mask = self._mask(i, x)
            log_scale, shift = layer(jnp.where(mask, x, 0))
            x = jnp.where(mask, x, x * jnp.exp(log_scale) + shift)
            log_det += jnp.where(mask, 0, log_scale).sum(axis=-1)
        return x, log_det

    def inverse(self, z: Array) -> tuple[Array, Array]:
        """Maps noise [B, D] to data [B, D] and log |det| of this map, float [B]."""
        log_det = jnp.zeros(z.shape[0], z.dtype)
        for i, layer in reversed([*enumerate(self.layers)]):
            # The masked coordinates are the same on both sides of the layer, so its
            # networks return the scales and shifts of the forward pass.
            mask = self._mask(i, z)
            log_scale, shift = layer(jnp.where(mask, z, 0))
            z = jnp.where(mask, z, (z - shift) * jnp.exp(-log_scale))
            log_det -= jnp.where(mask, 0, log_scale).sum(axis=-1)
        return z, log_det

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Shape of one vector, `input_shape`."""
        return (jax.ShapeDtypeStruct((1, *self.input_shape), jnp.float32),)

    def _mask(self, layer: int, x: Array) -> Array:
        """Mask of the coordinates that a layer passes through, bool [B, D]."""
        return jnp.broadcast_to(jnp.arange(x.shape[-1]) % 2 == layer % 2, x.shape)


def realnvp(**options: Any) -> RealNVP:
    """RealNVP of six layers for points in the plane; 804,888 parameters.

    Args:
      **options: Other attributes of `RealNVP`.

    References:
      Dinh, Sohl-Dickstein and Bengio, `Density Estimation Using Real NVP
      <https://arxiv.org/abs/1605.08803>`_, 2016.
    """
    return RealNVP(**{"num_layers": 6, "hidden_sizes": (256, 256), **options})
