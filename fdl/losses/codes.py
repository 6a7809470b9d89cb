"""Penalties on the code of an autoencoder: sparse and contractive ones."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from fdl.errors import UserError
from fdl.losses.half_precision import at_least_float32
from fdl.types import Array


def code_l1(code: Array) -> Array:
    """L1 penalty of a code, Σⱼ |hⱼ|, with a gradient of zero at zero.

    It is the negative log-density of independent Laplace variables, but for a constant.

    Args:
      code: Codes h, float [..., D].

    Returns:
      The penalty of each code, float32 [...].

    Example:
      >>> code_l1(jnp.array([[1.0, -2.0, 0.0]]))
      Array([3.], dtype=float32)

    References:
      Goodfellow, Bengio and Courville, `Deep Learning, section 14.2.1
      <https://www.deeplearningbook.org/contents/autoencoders.html>`_, 2016.
    """
    code = at_least_float32(code)
    # h · sign(h) and not |h|: the gradient of jnp.abs at zero is one.
    return (code * jnp.sign(code)).sum(axis=-1)


def sparsity_kl(activation: Array, *, target: float) -> Array:
    """Kullback-Leibler sparsity penalty, ρ log ρ / ρ̂ + (1 − ρ) log (1 − ρ) / (1 − ρ̂).

    It is the divergence KL(ρ ‖ ρ̂) of Bernoulli variables, in nats: zero if a unit is as
    active on average as it should be.

    Args:
      activation: Mean activation ρ̂ of each unit over the examples, in [0, 1], such as
        of logistic units, float [D].
      target: Mean activation ρ that units should have, such as 0.05.

    Returns:
      The penalty of each unit, float32 [D]: infinite at ρ̂ of 0 and 1, NaN outside.

    Raises:
      UserError: ``target`` is not between 0 and 1.

    Example:
      >>> sparsity_kl(jnp.array([0.05, 0.5]), target=0.05).round(4).tolist()
      [0.0, 0.4946]

    References:
      Ng, `Sparse Autoencoder, CS294A lecture notes
      <https://web.stanford.edu/class/cs294a/sparseAutoencoder.pdf>`_, 2011.
    """
    if not 0 < target < 1:
        raise UserError(f"target={target}: expected a number between 0 and 1")
    activation = at_least_float32(activation)
    on = target * (jnp.log(target) - jnp.log(activation))
    return on + (1 - target) * (jnp.log1p(-target) - jnp.log1p(-activation))


def contractive(encode: Callable[[Array], Array], inputs: Array) -> Array:
    """Contractive penalty ‖∂h / ∂x‖²: squared Frobenius norm of an encoder's Jacobian.

    It is exact. One backward pass for each unit of the code computes a row of the
    Jacobian of all examples, which suits codes that are smaller than the inputs.

    Args:
      encode: ``encode(inputs)``, codes [B, ...] of inputs, in which the code of an
        example depends on no other one: no batch normalisation in training.
      inputs: Inputs x, float [B, ...].

    Returns:
      The penalty of each example, float32 [B].

    Example:
      >>> contractive(lambda x: 3 * x, jnp.ones((1, 2)))
      Array([18.], dtype=float32)

    References:
      Rifai et al., `Contractive Auto-Encoders: Explicit Invariance During Feature
      Extraction <https://icml.cc/2011/papers/455_icmlpaper.pdf>`_, 2011.
    """
    code, pull_back = jax.vjp(lambda x: _flat(encode(x)), inputs)

    def squared_row(unit: Array) -> Array:
        (row,) = pull_back(jnp.broadcast_to(unit, code.shape))
        return jnp.square(_flat(at_least_float32(row))).sum(axis=-1)

    units = jnp.eye(code.shape[1], dtype=code.dtype)
    return jax.vmap(squared_row)(units).sum(axis=0)


def _flat(x: Array) -> Array:
    return x.reshape(len(x), -1)
