"""Gaussian mixture model with full covariances, to be trained by gradient."""

import math
from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp
from jax.typing import DTypeLike

from fdl.errors import UserError, check_positive
from fdl.types import Array

_zeros = nn.initializers.zeros


class GaussianMixture(nn.Module):
    """Gaussian mixture model, p(x) = Σ_k π_k N(x; μ_k, Σ_k), with full covariances.

    As in scikit-learn, a covariance is given by the upper triangular factor U of its
    inverse, Σ⁻¹ = U Uᵀ: (x − μ) U is standard normal, and log |Σ⁻¹|^½ is the sum of the
    logarithms of its diagonal. The parameters are the logits of the weights π, the
    means, those logarithms (``log_diagonal``) and the elements above the diagonal
    (``off_diagonal``). All start at zero but the means.

    Calling the module returns log-densities, computed in float32 at least.

    Attributes:
      num_components: Number K of components.
      input_shape: Shape (D,) of a vector.
      means_init: Initialiser of the means, float [K, D].
      param_dtype: Dtype of the parameters.

    References:
      Bishop, Pattern Recognition and Machine Learning, 2006, section 9.2.

    Example:
      >>> module = GaussianMixture(num_components=4)
      >>> points = jax.random.normal(jax.random.key(1), (5, 2))
      >>> variables = jax.jit(module.init)(jax.random.key(0), points)
      >>> apply = jax.jit(module.apply, static_argnames="method")
      >>> shares = apply(variables, points, method="responsibilities")
      >>> shares.shape, bool(jnp.allclose(shares.sum(axis=-1), 1))
      ((5, 4), True)
    """

    num_components: int
    input_shape: Sequence[int] = (2,)
    means_init: Callable[..., Array] = nn.initializers.normal(1.0)
    param_dtype: DTypeLike = "float32"

    def setup(self) -> None:
        """Creates the parameters."""
        check_positive(num_components=self.num_components)
        if len(self.input_shape) != 1:
            raise UserError(f"input_shape={self.input_shape}: expected vectors, (D,)")
        count, (size,), dtype = self.num_components, self.input_shape, self.param_dtype
        self.logits = self.param("logits", _zeros, (count,), dtype)
        self.means = self.param("means", self.means_init, (count, size), dtype)
        self.log_diagonal = self.param("log_diagonal", _zeros, (count, size), dtype)
        shape = count, size * (size - 1) // 2
        self.off_diagonal = self.param("off_diagonal", _zeros, shape, dtype)

    def __call__(self, inputs: Array, *, train: bool = False) -> Array:
        """Maps vectors [B, D] to their log-densities, float [B]."""
        del train  # Training and evaluation are the same.
        return logsumexp(self._joint(inputs), axis=-1)

    def responsibilities(self, inputs: Array) -> Array:
        """Maps vectors [B, D] to the probabilities of the components, float [B, K]."""
        return nn.softmax(self._joint(inputs))

    def sample(self, temperature: Array) -> Array:
        """Samples [B, D], from the random stream ``dropout``.

        Args:
          temperature: Factor of the standard deviation of each sample, float [B]; it
            leaves the weights as they are.
        """
        choice_key, noise_key = jax.random.split(self.make_rng("dropout"))
        shape = (len(temperature), self.input_shape[0])
        chosen = jax.random.categorical(choice_key, _wide(self.logits), shape=shape[:1])
        noise = jax.random.normal(noise_key, shape) * temperature[:, None]
        # (x − μ) U = z.
        x = jax.scipy.linalg.solve_triangular(
            self._factors()[chosen], noise[..., None], trans="T"
        )
        return _wide(self.means)[chosen] + x.squeeze(-1)

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Shape of one vector, `input_shape`."""
        return (jax.ShapeDtypeStruct((1, *self.input_shape), jnp.float32),)

    def _factors(self) -> Array:
        """Upper triangular factors U of the inverse covariances, float [K, D, D]."""
        size = self.input_shape[0]
        rows, columns = jnp.triu_indices(size, 1)
        diagonal = jax.vmap(jnp.diag)(jnp.exp(_wide(self.log_diagonal)))
        return diagonal.at[:, rows, columns].set(_wide(self.off_diagonal))

    def _joint(self, inputs: Array) -> Array:
        """Logarithms of π_k N(x; μ_k, Σ_k), float [B, K]."""
        if inputs.shape[1:] != tuple(self.input_shape):
            raise UserError(
                f"input_shape={tuple(self.input_shape)}: expected "
                f"{tuple(inputs.shape[1:])}, that of the inputs"
            )
        centred = _wide(inputs)[:, None] - _wide(self.means)[None]
        z = jnp.einsum("bkd,kde->bke", centred, self._factors())
        squared = (jnp.square(z) + math.log(2 * math.pi)).sum(axis=-1)
        log_det = _wide(self.log_diagonal).sum(axis=-1)
        return (nn.log_softmax(_wide(self.logits)) + log_det)[None] - 0.5 * squared


def _wide(x: Array) -> Array:
    """Array in float32 at least: covariances may be close to singular."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))
