"""Noisy dense layer (NoisyNet), whose random weights explore."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from flax.typing import Initializer
from jax.typing import DTypeLike

from fdl.types import Array


class NoisyDense(nn.Module):
    """Dense layer whose weights have factorised Gaussian noise of learned size.

    ``y = x (μ + σ ⊙ f(ε) f(ε')ᵀ) + b + s ⊙ f(ε')`` of normal numbers ``ε``, one for
    each input, and ``ε'``, one for each output, with ``f(x) = sgn(x) √|x|``. They are
    drawn once for a call, for all its rows; without a random key the weights are their
    means, ``μ`` and ``b``.

    Attributes:
      features: Number of output features.
      initial_noise: σ₀: initially, all of σ and s are σ₀ / √D for D inputs.
      kernel_init: Initialiser of the means of the kernel, μ.
      bias_init: Initialiser of the means of the bias, b.
      dtype: Dtype of the computation; inferred from inputs and parameters if None.
      param_dtype: Dtype of the parameters.

    References:
      Fortunato et al., `Noisy Networks for Exploration
      <https://arxiv.org/abs/1706.10295>`_, 2017.
    """

    features: int
    initial_noise: float = 0.5
    kernel_init: Initializer = nn.initializers.lecun_normal()
    bias_init: Initializer = nn.initializers.zeros
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps inputs [..., D] to outputs, float [..., features]."""
        shape = x.shape[-1], self.features
        noise_init = nn.initializers.constant(self.initial_noise / shape[0] ** 0.5)
        inits: Any = {"kernel": self.kernel_init, "bias": self.bias_init}
        inits |= {"kernel_std": noise_init, "bias_std": noise_init}
        params = [
            self.param(name, init, shape[name.startswith("bias") :], self.param_dtype)
            for name, init in inits.items()
        ]
        x, kernel, bias, kernel_std, bias_std = promote_dtype(
            x, *params, dtype=self.dtype
        )
        rows = (1,) * (x.ndim - 1)  # As axes are not added without a word.
        y = x @ kernel + bias.reshape(*rows, -1)
        has_key = self.has_rng("noise") or self.has_rng("params")
        if self.is_initializing() or not has_key:
            return y
        keys = jax.random.split(self.make_rng("noise"))
        of_input, of_output = (
            _signed_root(jax.random.normal(key, (*rows, size), x.dtype))
            for key, size in zip(keys, shape, strict=True)
        )
        # The product of the noise with the inputs in place of that with the weights: a
        # call for each of many keys, under `vmap`, shares the weights.
        noise = (x * of_input) @ kernel_std + bias_std.reshape(*rows, -1)
        return y + noise * of_output


def _signed_root(x: Array) -> Array:
    return jnp.sign(x) * jnp.sqrt(jnp.abs(x))
