"""Beam search."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fdl.errors import RunError, UserError
from fdl.generation.decoder import Decoder
from fdl.generation.prompts import padded
from fdl.types import Array, PyTree, Variables

# Number of tokens, float [], to what a log-likelihood is divided by.
LengthPenalty = Callable[[Array], Array]


class Beams(NamedTuple):
    """Hypotheses of a beam search, the best of each prompt first.

    Attributes:
      tokens: Generated tokens, int32 [B, K, T], without those of the prompt; what
        follows a stop token is not specified.
      lengths: Number of tokens, the stop token included, int32 [B, K].
      scores: Log-likelihood divided by the length penalty, float32 [B, K]; -inf where
        there are fewer than K hypotheses.
    """

    tokens: Array
    lengths: Array
    scores: Array


@functools.cache
def gnmt(alpha: float = 0.6) -> LengthPenalty:
    """Length penalty ((5 + length) / 6) ** α of GNMT and the Transformer of 2017.

    Args:
      alpha: Exponent α: 0 compares log-likelihoods as they are, and prefers the short.

    References:
      Wu et al., `Google's Neural Machine Translation System
      <https://arxiv.org/abs/1609.08144>`_, 2016, equation 14.

    Example:
      >>> gnmt(1.0)(jnp.float32(7))
      Array(2., dtype=float32)
    """
    return lambda length: ((5 + length) / 6) ** alpha


GNMT = gnmt()


@functools.cache
def power(alpha: float = 1.0) -> LengthPenalty:
    """Length penalty length ** α, as in the library transformers.

    For the same α it favours long hypotheses more than `gnmt`; with α = 1, it compares
    the mean log-likelihood of a token.

    Args:
      alpha: Exponent α.
    """
    return lambda length: length**alpha


def beam_search(
    decoder: Decoder,
    variables: Variables,
    prompts: Sequence[Any],
    *,
    num_beams: int = 4,
    max_tokens: int,
    stop_tokens: Sequence[int] = (),
    length_penalty: LengthPenalty = GNMT,
    vocab_size: int | None = None,
    inputs: Sequence[Array] = (),
) -> Beams:
    """Beam search: continuations of high log-likelihood.

    Of all continuations of the K hypotheses by one token, the K best are kept; those
    that end in a stop token among them are finished. It ends when no unfinished
    hypothesis can become better than the K finished ones, or at `max_tokens`, where
    unfinished ones count as well.

    Args:
      decoder: Decoder.
      variables: Variables of its model.
      prompts: Token ids of each prompt, int [P] each; an array, int [B, P], if they are
        of one length. Those of an encoder-decoder begin with its begin token. A prefix
        that the output has to have is the end of its prompt.
      num_beams: Number of hypotheses, K.
      max_tokens: Maximum number of generated tokens, T.
      stop_tokens: Token ids that end a hypothesis.
      length_penalty: Function of the number of generated tokens, with the stop token,
        increasing or decreasing.
      vocab_size: Number of tokens that may be generated, as of a tokenizer that has
        fewer than the model. Default: all.
      inputs: Further inputs of the model, [B, ...]: source and mask of an
        encoder-decoder.

    Returns:
      Hypotheses, with T = max_tokens.

    Raises:
      UserError: A prompt is empty or too long for the model, or an argument is not as
        above.
      RunError: The logits of the model are NaN.
    """
    if num_beams < 1:
        raise UserError(f"num_beams={num_beams}: expected at least 1")
    tokens, mask = padded(decoder, prompts, max_tokens)
    if max_tokens == 0:
        shape = (len(tokens), num_beams)
        scores = jnp.where(jnp.arange(num_beams) > 0, -jnp.inf, 0.0)
        return Beams(
            jnp.zeros((*shape, 0), jnp.int32),
            jnp.zeros(shape, jnp.int32),
            jnp.broadcast_to(scores, shape),
        )
    stops = tuple(stop_tokens)
    how = Search(decoder, num_beams, max_tokens, stops, length_penalty, vocab_size)
    beams = search(how, variables, tokens, mask, tuple(inputs))
    if jnp.isnan(beams.scores).any():
        raise RunError("the logits of the model are NaN")
    return beams


class Search(NamedTuple):
    """Static arguments of a compiled beam search."""

    decoder: Decoder
    num_beams: int
    max_tokens: int
    stop_tokens: tuple[int, ...]
    length_penalty: LengthPenalty
    vocab_size: int | None = None


class BeamState(NamedTuple):
    """State of a beam search.

    Attributes:
      time: Number of tokens of each unfinished hypothesis, int32 [].
      cache: Cache of the decoder, of B·K rows.
      tokens: Tokens of the unfinished hypotheses, int32 [B, K, T].
      scores: Their log-likelihoods, float32 [B, K].
      finished: Best finished hypotheses.
    """

    time: Array
    cache: PyTree
    tokens: Array
    scores: Array
    finished: Beams


@functools.partial(jax.jit, static_argnums=0)
def search(
    how: Search,
    variables: Variables,
    prompts: Array,
    mask: Array,
    inputs: Sequence[Array],
) -> Beams:
    """Beam search that can be traced; see `beam_search`.

    Args:
      how: Static arguments.
      variables: Variables of the model.
      prompts: Token ids, int32 [B, P], padded on the right.
      mask: bool [B, P], True at tokens.
      inputs: Further inputs of the model.

    Returns:
      Hypotheses; scores are NaN where the logits are.
    """
    decoder, num_beams, max_tokens = how[:3]
    (batch, length), shape = prompts.shape, (prompts.shape[0], how.num_beams)
    cache, logits = decoder.prefill(
        variables, prompts, mask, length + max_tokens, *inputs
    )
    rows = jnp.repeat(jnp.arange(batch), num_beams)
    none = jnp.full(shape, -jnp.inf)
    tokens = jnp.zeros((*shape, max_tokens), jnp.int32)
    state = BeamState(
        jnp.int32(0),
        decoder.reorder(cache, rows),
        tokens,
        # All hypotheses begin alike: one of them is enough.
        none.at[:, 0].set(0.0),
        Beams(tokens, jnp.zeros(shape, jnp.int32), none),
    )

    def step(state):
        last = state.tokens[:, :, state.time - 1].reshape(-1)
        cache, logits = decoder.step(variables, state.cache, last)
        return _expand(how, state._replace(cache=cache), logits)

    state = _expand(how, state, logits[rows])
    state = jax.lax.while_loop(functools.partial(_goes_on, how), step, state)
    scores = state.scores / how.length_penalty(jnp.float32(max_tokens))
    # Where the search has ended before, none of these can be among the best, but for
    # NaN, with which it ends at once.
    counts = (state.time == max_tokens) | jnp.isnan(scores)
    scores = jnp.where(counts, scores, -jnp.inf)
    lengths = jnp.full(shape, max_tokens, jnp.int32)
    return _best(num_beams, state.finished, Beams(state.tokens, lengths, scores))


def _goes_on(search, state):
    """True if an unfinished hypothesis may still become one of the best."""
    best = state.scores.max(axis=1)
    times = jnp.stack([jnp.int32(search.max_tokens), state.time + 1])
    # Log-likelihoods only fall, and the penalty is largest at one of the two ends.
    penalties = search.length_penalty(times.astype(jnp.float32))
    bounds = best[None] / penalties[:, None]
    open_rows = state.finished.scores.min(axis=1) < bounds.max(axis=0)
    return (state.time < search.max_tokens) & open_rows.any()


def _expand(search, state, logits):
    """Extends all hypotheses by one token, given the logits, float [B·K, V]."""
    decoder, num_beams, _, stop_tokens, length_penalty, limit = search
    batch = len(state.tokens)
    log_probs = jax.nn.log_softmax(logits.astype(jnp.float32))
    if limit is not None:
        ids = jnp.arange(logits.shape[-1])[None]
        log_probs = jnp.where(ids < limit, log_probs, -jnp.inf)
    totals = state.scores[:, :, None] + log_probs.reshape(batch, num_beams, -1)
    # The sign of NaN, which depends on its origin, decides where `top_k` sorts it.
    totals = jnp.where(jnp.isnan(totals), jnp.nan, totals)
    vocab_size = totals.shape[2]
    # Each hypothesis has as many continuations that stop as there are stop tokens, so
    # that of so many candidates at least K go on.
    num_candidates = min(num_beams * (1 + len(stop_tokens)), num_beams * vocab_size)
    scores, places = jax.lax.top_k(totals.reshape(batch, -1), num_candidates)
    beams, new = jnp.divmod(places, vocab_size)
    tokens = jnp.take_along_axis(state.tokens, beams[:, :, None], axis=1)
    tokens = tokens.at[:, :, state.time].set(new)
    time = state.time + 1
    stops = jnp.isin(new, jnp.array(stop_tokens, jnp.int32))
    ends = stops & (jnp.arange(num_candidates) < num_beams)[None]
    ended = Beams(
        tokens,
        jnp.full(ends.shape, time),
        jnp.where(ends, scores / length_penalty(time.astype(jnp.float32)), -jnp.inf),
    )
    scores, chosen = jax.lax.top_k(jnp.where(stops, -jnp.inf, scores), num_beams)
    rows = jnp.take_along_axis(beams, chosen, axis=1)
    rows += num_beams * jnp.arange(batch)[:, None]
    return BeamState(
        time,
        decoder.reorder(state.cache, rows.reshape(-1)),
        jnp.take_along_axis(tokens, chosen[:, :, None], axis=1),
        scores,
        _best(num_beams, state.finished, ended),
    )


def _best(num_beams, *hypotheses):
    """Best hypotheses of each prompt, of several sets."""
    tokens, lengths, scores = (
        jnp.concatenate(parts, axis=1) for parts in zip(*hypotheses, strict=True)
    )
    scores, order = jax.lax.top_k(scores, num_beams)
    return Beams(
        jnp.take_along_axis(tokens, order[:, :, None], axis=1),
        jnp.take_along_axis(lengths, order, axis=1),
        scores,
    )
