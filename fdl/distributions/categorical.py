"""Categorical distributions: one class, or a vector of several; masked classes."""

import itertools
from collections.abc import Sequence

import chex
import jax
import jax.numpy as jnp
import numpy as np

from fdl.distributions.distribution import Distribution, array_of, distribution
from fdl.errors import UserError
from fdl.types import Array


def categorical() -> Distribution:
    """Categorical distribution over C classes, int [...], of logits, float [..., C].

    A class whose logit is minus infinity has probability zero. The log-probability of
    what is no class is NaN. All is computed in float32, also of logits in half
    precision: bfloat16 would be wrong by up to 0.04 nats for a thousand classes.

    Example:
      >>> distribution = categorical()
      >>> distribution.log_prob(jnp.log(jnp.array([1.0, 3.0])), jnp.array(1))
      Array(-0.2877, dtype=float32)
    """

    def sample(logits, key):
        return jax.random.categorical(key, array_of(logits))

    def log_prob(logits, x):
        chex.assert_type([logits, x], [float, int])
        chex.assert_shape(x, logits.shape[:-1])
        log_probs = jax.nn.log_softmax(array_of(logits))
        # A negative index would count from the end; one out of range gives NaN.
        index = jnp.where(x < 0, logits.shape[-1], x)[..., None]
        return jnp.take_along_axis(log_probs, index, axis=-1).squeeze(-1)

    def entropy(logits):
        log_probs = jax.nn.log_softmax(array_of(logits))
        probs = jnp.exp(log_probs)
        # By the limit p log p → 0: a logit of minus infinity would make 0 · −∞ = NaN.
        return -jnp.sum(probs * jnp.where(probs > 0, log_probs, 0), axis=-1)

    def mode(logits):
        return jnp.argmax(array_of(logits), axis=-1)

    return distribution(sample, log_prob, entropy, mode)


def multi_categorical(num_values: Sequence[int]) -> Distribution:
    """Vector of K independent categorical numbers, int [..., K]: multi-discrete.

    Parameters are the logits of all numbers, one after another, float [..., ΣC].

    Args:
      num_values: Number of values C of each number, ``env.action.num_values``.

    Raises:
      UserError: A number of values is below 1; or, later, the logits are not as many.

    Example:
      >>> distribution = multi_categorical((2, 3))
      >>> distribution.mode(jnp.array([1.0, 0.0, 0.0, 0.0, 2.0]))
      Array([0, 2], dtype=int32)
    """
    sizes = [*np.atleast_1d(np.asarray(num_values))]
    if not sizes or any(size != int(size) or size < 1 for size in sizes):
        raise UserError(f"num_values={num_values}: expected integers of at least 1")
    *cuts, total = itertools.accumulate(map(int, sizes))
    one = categorical()

    def parts(logits):
        logits = array_of(logits)
        if logits.shape[-1] != total:
            raise UserError(
                f"logits {[*logits.shape]}: expected {total} of them, the sum of "
                f"num_values={tuple(map(int, sizes))}"
            )
        return jnp.split(logits, cuts, axis=-1)

    def sample(logits, key):
        keys = jax.random.split(key, len(sizes))
        drawn = [one.sample(x, key) for x, key in zip(parts(logits), keys, strict=True)]
        return jnp.stack(drawn, axis=-1)

    def log_prob(logits, x):
        chex.assert_axis_dimension(x, -1, len(sizes))
        each = zip(parts(logits), jnp.moveaxis(x, -1, 0), strict=True)
        return sum(one.log_prob(part, number) for part, number in each)

    def entropy(logits):
        return sum(map(one.entropy, parts(logits)))

    def mode(logits):
        return jnp.stack([*map(one.mode, parts(logits))], axis=-1)

    return distribution(sample, log_prob, entropy, mode)


def mask_logits(logits: Array, valid: Array) -> Array:
    """Logits of which invalid classes have probability zero: masked actions.

    Where no class is valid, as in what pads a batch, all logits stay as they are.

    Args:
      logits: Logits, float [..., C].
      valid: True for the classes that may be taken, bool [..., C].

    References:
      Huang and Ontañón, `A Closer Look at Invalid Action Masking in Policy Gradient
      Algorithms <https://arxiv.org/abs/2006.14171>`_, 2020.

    Example:
      >>> logits = mask_logits(jnp.zeros(3), jnp.array([True, False, True]))
      >>> categorical().entropy(logits)
      Array(0.6931, dtype=float32)
    """
    chex.assert_equal_shape([logits, valid])
    kept = valid | ~valid.any(axis=-1, keepdims=True)
    return jnp.where(kept, logits, -jnp.inf)
