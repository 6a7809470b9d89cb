"""Evidence lower bound (ELBO) of latent variable models, and its two terms, in nats."""

import math

import jax
import jax.numpy as jnp

from fdl.errors import UserError
from fdl.losses.arguments import check_array, check_pair, type_of
from fdl.losses.binary import binary_cross_entropy
from fdl.losses.half_precision import at_least_float32
from fdl.types import Array


def gaussian_kl(mean: Array, log_var: Array) -> Array:
    """Kullback-Leibler divergence KL(N(μ, σ²) ‖ N(0, 1)) = ½ (μ² + σ² − 1 − log σ²).

    That of a diagonal Gaussian is the sum over its dimensions.

    Args:
      mean: Means μ, float [...].
      log_var: Log-variances log σ², of the same shape; from 89 on σ² is infinite in
        float32.

    Returns:
      The divergence of each dimension, float32 [...].

    Example:
      >>> gaussian_kl(jnp.array([0.0, 1.0]), jnp.array([0.0, 0.0]))
      Array([0. , 0.5], dtype=float32)

    References:
      Kingma and Welling, `Auto-Encoding Variational Bayes, appendix B
      <https://arxiv.org/abs/1312.6114>`_, 2013.
    """
    check_pair("log_var", log_var, "mean", mean)
    mean, log_var = at_least_float32(mean), at_least_float32(log_var)
    # Close to a variance of one, σ² − 1 would lose all digits.
    return 0.5 * (jnp.square(mean) + jnp.expm1(log_var) - log_var)


def bernoulli_nll(logits: Array, pixels: Array) -> Array:
    """Bernoulli negative log-likelihood of each example, −Σⱼ log p(xⱼ).

    Of pixels between 0 and 1 it is the cross-entropy, which is no likelihood and not
    comparable with that of binary ones.

    Args:
      logits: Log-odds of a pixel of one, float [B, ...].
      pixels: Pixels x, 0 or 1 or between, of the same shape.

    Returns:
      The sum over the pixels of each example, float32 [B]; NaN where a pixel is not in
      [0, 1].

    Example:
      >>> bernoulli_nll(jnp.zeros((1, 3)), jnp.array([[0, 1, 1]]))
      Array([2.0794415], dtype=float32)
    """
    losses = binary_cross_entropy(logits, pixels)
    return losses.sum(axis=tuple(range(1, losses.ndim)))


def negative_elbo(nll: Array, kl: Array, *, beta: float | Array = 1.0) -> Array:
    """Negative evidence lower bound, −E[log p(x | z)] + β Σⱼ KL(q(zⱼ | x) ‖ p(zⱼ)).

    With β = 1 it is an upper bound on −log p(x).

    Args:
      nll: Negative log-likelihood of each example given a sample of its latents, such
        as of `bernoulli_nll`, float [B].
      kl: Divergence of each latent, such as of `gaussian_kl`, float [B, L].
      beta: Weight β of the divergence, at least zero.

    Returns:
      The loss of each example, float32 [B].

    Raises:
      UserError: β is negative.

    References:
      Kingma and Welling, `Auto-Encoding Variational Bayes
      <https://arxiv.org/abs/1312.6114>`_, 2013; Higgins et al., `beta-VAE
      <https://openreview.net/forum?id=Sy2fzU9gl>`_, 2017, for β.
    """
    if isinstance(beta, int | float) and not beta >= 0:
        raise UserError(f"beta={beta}: expected a number from 0 on")
    check_array("nll", nll, "float", nll.shape)
    shape = (*nll.shape, kl.shape[-1] if kl.ndim else 1)
    check_array("kl", kl, "float", shape, f"as nll of {type_of(nll)}")
    return at_least_float32(nll) + beta * at_least_float32(kl).sum(axis=-1)


def importance_weighted_elbo(log_weights: Array) -> Array:
    """Importance-weighted lower bound on log p(x), log (1 / K) Σₖ wₖ.

    With weights wₖ = p(x, zₖ) / q(zₖ | x) of K samples from q, its expectation grows
    with K from the ELBO to log p(x).

    Args:
      log_weights: Log-weights log wₖ, float [K, ...].

    Returns:
      The bound of each example, float32 [...].

    Example:
      >>> importance_weighted_elbo(jnp.log(jnp.array([[1.0], [3.0]])))  # log 2.
      Array([0.6931472], dtype=float32)

    References:
      Burda, Grosse and Salakhutdinov, `Importance Weighted Autoencoders
      <https://arxiv.org/abs/1509.00519>`_, 2015.
    """
    check_array("log_weights", log_weights, "float", log_weights.shape)
    log_weights = at_least_float32(log_weights)
    return jax.nn.logsumexp(log_weights, axis=0) - math.log(len(log_weights))
