"""Probability distributions, parametrised by the outputs of a network."""

from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp

from fdl.errors import UserError
from fdl.types import Array, Key, PyTree


class Distribution(NamedTuple):
    """Family of distributions over ``x``, such as the actions of a policy.

    Attributes:
      sample: ``sample(params, key) -> x``, a random sample.
      log_prob: ``log_prob(params, x)``, the log-probability or density, float [...].
      entropy: ``entropy(params)``, the entropy in nats, float [...].
      mode: ``mode(params) -> x``, the most probable value.
    """

    sample: Callable[[PyTree, Key], Array]
    log_prob: Callable[[PyTree, Array], Array]
    entropy: Callable[[PyTree], Array]
    mode: Callable[[PyTree], Array]


def checked(distribution: Any) -> Distribution:
    """The same distribution, if it is one.

    Raises:
      UserError: It is none: ``categorical`` in place of ``categorical()``, say.
    """
    if all(hasattr(distribution, name) for name in Distribution._fields):
        return distribution
    name = getattr(distribution, "__name__", repr(distribution))
    hint = f": {name}() makes one" if callable(distribution) else ""
    raise UserError(f"distribution={name}: expected a Distribution{hint}")


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
        return jax.random.categorical(key, _array(logits))

    def log_prob(logits, x):
        chex.assert_type([logits, x], [float, int])
        chex.assert_shape(x, logits.shape[:-1])
        log_probs = jax.nn.log_softmax(_array(logits))
        # A negative index would count from the end; one out of range gives NaN.
        index = jnp.where(x < 0, logits.shape[-1], x)[..., None]
        return jnp.take_along_axis(log_probs, index, axis=-1).squeeze(-1)

    def entropy(logits):
        log_probs = jax.nn.log_softmax(_array(logits))
        probs = jnp.exp(log_probs)
        # By the limit p log p → 0: a logit of minus infinity would make 0 · −∞ = NaN.
        return -jnp.sum(probs * jnp.where(probs > 0, log_probs, 0), axis=-1)

    def mode(logits):
        return jnp.argmax(_array(logits), axis=-1)

    return Distribution(sample, log_prob, entropy, mode)


def _array(logits: Any) -> Array:
    """The same logits, at least float32; those of an actor-critic come in a tuple.

    In bfloat16, of whose random numbers there are 128, samples would never be of a rare
    class.

    Raises:
      UserError: They are none.
    """
    if not hasattr(logits, "shape"):
        raise UserError(
            f"logits are a {type(logits).__name__}: expected an array, float [..., C], "
            "such as the outputs of rl.actor(model)"
        )
    return logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
