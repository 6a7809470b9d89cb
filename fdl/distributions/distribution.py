"""Interface of probability distributions."""

from collections.abc import Callable
from typing import Any, NamedTuple

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
      sample_and_log_prob: ``sample_and_log_prob(params, key) -> (x, log_prob)``, a
        random sample with its log-probability, which may be more precise than that of
        a rounded ``x``. Both are differentiable with respect to the parameters where
        ``x`` is continuous (reparametrised), except for `beta` of large parameters.
    """

    sample: Callable[[PyTree, Key], Array]
    log_prob: Callable[[PyTree, Array], Array]
    entropy: Callable[[PyTree], Array]
    mode: Callable[[PyTree], Array]
    sample_and_log_prob: Callable[[PyTree, Key], tuple[Array, Array]]


def distribution(
    sample: Callable[[PyTree, Key], Array],
    log_prob: Callable[[PyTree, Array], Array],
    entropy: Callable[[PyTree], Array],
    mode: Callable[[PyTree], Array],
) -> Distribution:
    """Distribution whose samples have the log-probability of what they are."""

    def sample_and_log_prob(params: PyTree, key: Key) -> tuple[Array, Array]:
        x = sample(params, key)
        return x, log_prob(params, x)

    return Distribution(sample, log_prob, entropy, mode, sample_and_log_prob)


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


def array_of(logits: Any) -> Array:
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


def pair_of(params: Any, names: str, head: str) -> tuple[Array, Array]:
    """Two parameters of equal shape, at least float32.

    Args:
      params: Pair of arrays, float [..., A].
      names: Names of both in the error, such as ``mean, log_std``.
      head: Name of a head that returns them.

    Raises:
      UserError: They are no such pair.
    """
    pair = isinstance(params, tuple) and len(params) == 2
    if not pair or not all(hasattr(x, "shape") for x in params):
        raise UserError(
            f"params are a {type(params).__name__}: expected ({names}), each float "
            f"[..., A], such as the outputs of models.{head}"
        )
    first, second = (x.astype(jnp.promote_types(x.dtype, jnp.float32)) for x in params)
    if first.shape != second.shape:
        raise UserError(
            f"params of shapes {[*first.shape]} and {[*second.shape]}: expected "
            f"({names}) of one shape"
        )
    return first, second


def check_vector(x: Array, shape: tuple[int, ...]) -> None:
    """Raises `UserError` if a value is not of the shape of its parameters.

    A value [B] of parameters [B, 1] would be broadcast to [B, B].
    """
    if x.shape != shape:
        raise UserError(f"x of shape {[*x.shape]}: expected {[*shape]}, as params have")
