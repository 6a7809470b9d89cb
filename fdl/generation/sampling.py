"""Logit filters: pure functions of the logits that sampling is from."""

import functools
import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from fdl.errors import UserError
from fdl.types import Array

# Logits, float32 [..., V], to logits of the same shape; -inf where a token is left out.
Filter = Callable[[Array], Array]

# The makers of filters return the same function for the same argument, so that whoever
# compiles it does so once.


def temperature(value: float) -> Filter:
    """Temperature: logits divided by it; below 1 sharper, above 1 flatter.

    Zero leaves the most likely token alone, the first one of several.

    Args:
      value: Temperature, at least 0.

    Example:
      >>> temperature(0.5)(jnp.array([1.0, 2.0]))
      Array([2., 4.], dtype=float32)
      >>> temperature(0.0)(jnp.array([1.0, 2.0]))
      Array([-inf,   2.], dtype=float32)
    """
    if not 0 <= value < math.inf:
        raise UserError(f"temperature={value}: expected a finite number of at least 0")
    return _temperature(float(value))


@functools.cache
def _temperature(value):
    def scale(logits):
        if value > 0:
            return logits / value
        best = jax.nn.one_hot(logits.argmax(axis=-1), logits.shape[-1], dtype=bool)
        return _keep(logits, best)

    return scale


@functools.cache
def top_k(k: int) -> Filter:
    """Top-k: the k most likely tokens remain, and those as likely as the last of them.

    Args:
      k: Number of tokens, at least 1; all where the vocabulary has fewer.

    References:
      Fan, Lewis and Dauphin, `Hierarchical Neural Story Generation
      <https://arxiv.org/abs/1805.04833>`_, 2018.
    """
    if k < 1:
        raise UserError(f"top_k={k}: expected at least 1")

    def keep(logits):
        least = jax.lax.top_k(logits, min(k, logits.shape[-1]))[0][..., -1:]
        return _keep(logits, logits >= least)

    return keep


@functools.cache
def top_p(p: float) -> Filter:
    """Top-p, nucleus sampling: the fewest most likely tokens of total probability p.

    Args:
      p: Probability, above 0 and at most 1. One token always remains.

    References:
      Holtzman et al., `The Curious Case of Neural Text Degeneration
      <https://arxiv.org/abs/1904.09751>`_, 2019.
    """
    _check_probability("top_p", p)

    def keep(logits):
        if p == 1:
            return logits
        ordered = -jnp.sort(-logits, axis=-1)
        probabilities = jax.nn.softmax(ordered, axis=-1)
        # A token remains if those before it have not reached p yet.
        before = jnp.cumsum(probabilities, axis=-1) - probabilities
        least = jnp.where(before < p, ordered, jnp.inf).min(axis=-1, keepdims=True)
        return _keep(logits, logits >= least)

    return keep


@functools.cache
def min_p(p: float) -> Filter:
    """Min-p: tokens at least p times as likely as the most likely one remain.

    Args:
      p: Ratio of probabilities, above 0 and at most 1.

    References:
      Nguyen et al., `Turning Up the Heat: Min-p Sampling for Creative and Coherent LLM
      Outputs <https://arxiv.org/abs/2407.01082>`_, 2024.
    """
    _check_probability("min_p", p)

    def keep(logits):
        least = logits.max(axis=-1, keepdims=True) + math.log(p)
        return _keep(logits, logits >= least)

    return keep


@functools.cache
def vocabulary(size: int, exclude: tuple[int, ...] = ()) -> Filter:
    """Vocabulary: the tokens that have a text remain.

    Args:
      size: Number of tokens of a tokenizer; that of a model may be rounded up.
      exclude: Token ids that are not to be generated, such as that of padding.
    """

    def keep(logits):
        ids = jnp.arange(logits.shape[-1])
        return _keep(logits, (ids < size) & ~jnp.isin(ids, jnp.array(exclude, int)))

    return keep


def compose(filters: Sequence[Filter]) -> Filter:
    """Composition of filters, of which the first is applied first."""

    def apply(logits):
        return functools.reduce(lambda x, keep: keep(x), filters, logits)

    return apply


def repetition_penalty(logits: Array, seen: Array, penalty: float) -> Array:
    """Repetition penalty: makes tokens that are in the text already less likely.

    Positive logits are divided by it, negative ones multiplied.

    Args:
      logits: float [..., V].
      seen: bool [..., V], true at tokens of the prompt and those generated so far.
      penalty: Positive; 1 changes nothing.

    References:
      Keskar et al., `CTRL <https://arxiv.org/abs/1909.05858>`_, 2019.
    """
    penalised = jnp.where(logits > 0, logits / penalty, logits * penalty)
    return jnp.where(seen, penalised, logits)


def _keep(logits, kept):
    return jnp.where(jnp.broadcast_to(kept, logits.shape), logits, -jnp.inf)


def _check_probability(name, p):
    if not 0 < p <= 1:
        raise UserError(f"{name}={p}: expected a number above 0 and at most 1")
