"""Sampling of continuations, some tokens at a time."""

import functools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fdl.errors import RunError, UserError
from fdl.generation.decoder import Decoder
from fdl.generation.prompts import padded
from fdl.generation.sampling import Filter, compose, repetition_penalty, temperature
from fdl.types import Array, Key, PyTree, Variables

CHUNK = 8  # Tokens that one call makes: it is what a stream is read in.


class Generated(NamedTuple):
    """Generated tokens of n samples for each prompt.

    Attributes:
      tokens: Generated tokens, int32 [B, n, T], without those of the prompt; zero
        behind a stop token.
      lengths: Number of tokens, the stop token included, int32 [B, n].
    """

    tokens: np.ndarray
    lengths: np.ndarray


class Sampling(NamedTuple):
    """Static arguments of the compiled sampling of tokens."""

    decoder: Decoder
    filters: tuple[Filter, ...]
    repetition_penalty: float
    stop_tokens: tuple[int, ...]


class SampleState(NamedTuple):
    """State of sampling, for R = B·n rows.

    Attributes:
      cache: Cache of the decoder.
      logits: Logits of the next token, float [R, V].
      stopped: True where a stop token was drawn, bool [R].
      seen: Tokens of the text so far, bool [R, V]; None without a penalty on them.
    """

    cache: PyTree
    logits: Array
    stopped: Array
    seen: Array | None


def generate(
    decoder: Decoder,
    variables: Variables,
    prompts: Sequence[Any],
    key: Key | None = None,
    **options: Any,
) -> Generated:
    """Samples continuations of prompts; greedily, without a key.

    Args:
      decoder: Decoder.
      variables: Variables of its model.
      prompts: Token ids of each prompt, int [P] each.
      key: Key, or None.
      **options: Options of `stream`, such as ``max_tokens`` and ``filters``.

    Returns:
      Generated tokens, as NumPy arrays; T is the length of the longest.

    Raises:
      UserError: As `stream`.
      RunError: As `stream`.
    """
    none = np.zeros((len(prompts), options.get("num_samples", 1), 0), np.int32)
    chunks = [(none, none), *stream(decoder, variables, prompts, key, **options)]
    tokens, is_token = (
        np.concatenate(parts, axis=2) for parts in zip(*chunks, strict=True)
    )
    lengths = is_token.sum(axis=2, dtype=np.int32)
    return Generated(tokens[:, :, : lengths.max(initial=0)], lengths)


def stream(
    decoder: Decoder,
    variables: Variables,
    prompts: Sequence[Any],
    key: Key | None = None,
    *,
    max_tokens: int,
    filters: Sequence[Filter] = (),
    repetition_penalty: float = 1.0,
    stop_tokens: Sequence[int] = (),
    num_samples: int = 1,
    first_sample: int = 0,
    numbers: Sequence[int] | None = None,
    context: int | None = None,
    inputs: Sequence[Array] = (),
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Samples continuations of prompts, at most 8 tokens at a time.

    A token's key is folded of the number of its prompt, that of the sample, and its
    position: a prompt has the same continuation alone and in a batch, if it has the
    same number.

    Args:
      decoder: Decoder.
      variables: Variables of its model.
      prompts: Token ids of each prompt, int [P] each; an array, int [B, P], if they are
        of one length. Those of an encoder-decoder begin with its begin token. A prefix
        that the output has to have is the end of its prompt.
      key: Key; without one, of the tokens that the filters leave the most likely one
        is taken (greedy decoding).
      max_tokens: Number of tokens at most.
      filters: Functions of logits, as `temperature` and `top_k` make them, the first of
        which is applied first.
      repetition_penalty: See `fdl.generation.repetition_penalty`; applied before the
        filters.
      stop_tokens: Token ids behind which nothing is generated.
      num_samples: Number of samples for each prompt, n.
      first_sample: Number of the first of them, for their keys.
      numbers: Number of each prompt, for its key; 0, 1, ... by default.
      context: Where a model has too few positions for prompt and tokens, it goes on
        from so many last tokens of the text, each time that its positions are used up;
        None: it is an error.
      inputs: Further inputs of the model, [B, ...]: source and mask of an
        encoder-decoder.

    Returns:
      An iterator over the next tokens of all samples, int32 [B, n, C] with C of at most
      8, and whether they are tokens, or behind a stop token, bool [B, n, C].

    Raises:
      UserError: A prompt is empty, has an unknown token id, or is too long for the
        model, or an argument is not as above.
      RunError: The logits are NaN or infinite, or a filter leaves no token.
    """
    if num_samples < 1:
        raise UserError(f"num_samples={num_samples}: expected at least 1")
    if not 0 < repetition_penalty < np.inf:
        raise UserError(
            f"repetition_penalty={repetition_penalty}: expected a positive number"
        )
    if key is None:
        key, filters = jax.random.key(0), (*filters, temperature(0.0))
    if context is not None and not 0 < context < (decoder.max_length or np.inf):
        raise UserError(
            f"context={context}: expected at least 1 and less than the "
            f"{decoder.max_length} positions of the model"
        )
    sampling = Sampling(decoder, (*filters,), repetition_penalty, (*stop_tokens,))
    texts = [np.asarray(prompt) for prompt in prompts]
    numbers = range(len(texts)) if numbers is None else numbers
    samples = np.arange(first_sample, first_sample + num_samples, dtype=np.uint32)
    keys = _row_keys(key, np.array([*numbers], np.uint32), samples)
    shape = (len(texts), num_samples, -1)
    padded(decoder, texts, _room(decoder, texts, max_tokens, context))
    chunks = _chunks(sampling, variables, texts, keys, max_tokens, context, inputs)
    return ((x.reshape(shape), is_token.reshape(shape)) for x, is_token in chunks)


def _chunks(sampling, variables, texts, keys, max_tokens, context, inputs):
    """Next tokens of all rows, int32 [R, C], and whether they are tokens."""
    time, state = 0, None
    while time < max_tokens:
        count = _room(sampling.decoder, texts, max_tokens - time, context)
        prompt, mask = padded(sampling.decoder, texts, count)
        repeats = len(keys) // len(texts)
        length = prompt.shape[1] + -(-count // CHUNK) * CHUNK
        if sampling.decoder.max_length is not None:
            length = min(length, sampling.decoder.max_length)
        begun = _begin(
            sampling, (repeats, length), variables, prompt, mask, tuple(inputs)
        )
        if state is not None:
            begun = begun._replace(stopped=state.stopped, seen=state.seen)
        state = begun
        texts = [text for text in texts for _ in range(repeats)]
        for start in range(0, count, CHUNK):
            state, outputs = _chunk(sampling, variables, state, keys, time + start)
            tokens, is_token, is_finite = (
                np.asarray(x)[:, : count - start] for x in outputs
            )
            if not is_finite.all():
                raise RunError(
                    "the logits of the model are NaN or infinite, or no filter leaves "
                    "a token"
                )
            yield tokens, is_token
            ended = ~is_token[:, -1] | np.isin(tokens[:, -1], sampling.stop_tokens)
            if ended.all():
                return
            texts = [np.append(*pair) for pair in zip(texts, tokens, strict=True)]
        time += count
        if context:
            # Each text by itself, so that it is the same alone and in a batch.
            is_full = [len(text) >= sampling.decoder.max_length for text in texts]
            pairs = zip(texts, is_full, strict=True)
            texts = [text[-context:] if full else text for text, full in pairs]


def _room(decoder, texts, num_tokens, context):
    """Number of tokens to generate before the positions of the model are used up."""
    if decoder.max_length is None or context is None:
        return num_tokens
    return min(num_tokens, max(1, decoder.max_length - max(map(len, texts))))


@jax.jit
def _row_keys(key, numbers, samples):
    def of_prompt(number):
        fold = functools.partial(jax.random.fold_in, jax.random.fold_in(key, number))
        return jax.vmap(fold)(samples)

    return jax.vmap(of_prompt)(numbers).reshape(-1)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _begin(sampling, sizes, variables, prompt, mask, inputs):
    repeats, length = sizes
    cache, logits = sampling.decoder.prefill(variables, prompt, mask, length, *inputs)
    seen = None
    if sampling.repetition_penalty != 1:
        # Padding is seen at a token that there is not.
        ids = jnp.where(mask, prompt, logits.shape[1])
        seen = jax.vmap(lambda row, ids: row.at[ids].set(True, mode="drop"))(
            jnp.zeros(logits.shape, bool), ids
        )
    if repeats > 1:
        rows = jnp.repeat(jnp.arange(len(prompt)), repeats)
        cache = sampling.decoder.reorder(cache, rows)
        logits, seen = jax.tree.map(lambda x: x[rows], (logits, seen))
    return SampleState(cache, logits, jnp.zeros(len(logits), bool), seen)


@functools.partial(jax.jit, static_argnums=0, donate_argnums=2)
def _chunk(sampling, variables, state, keys, time):
    stop_tokens = jnp.array(sampling.stop_tokens, jnp.int32)
    keep = compose(sampling.filters)
    # One token is left then, and the noise of all would take longer than the model.
    greedy = temperature(0) in sampling.filters

    def step(state, time):
        # In half precision, many of the logits are equal.
        logits = state.logits.astype(jnp.float32)
        if state.seen is not None:
            logits = repetition_penalty(logits, state.seen, sampling.repetition_penalty)
        logits = keep(logits)
        token_keys = jax.vmap(jax.random.fold_in, (0, None))(keys, time)
        if greedy:
            token = logits.argmax(axis=-1)
        else:
            token = jax.vmap(jax.random.categorical)(token_keys, logits)
        token = jnp.where(state.stopped, 0, token).astype(jnp.int32)
        # A filter may have left out what is NaN.
        is_finite = jnp.isfinite(logits.max(axis=-1))
        is_finite &= ~jnp.isnan(state.logits).any(axis=-1)
        is_finite |= state.stopped
        stopped = state.stopped | jnp.isin(token, stop_tokens)
        seen = state.seen
        if seen is not None:
            seen = jax.vmap(lambda row, token: row.at[token].set(True))(seen, token)
        cache, logits = sampling.decoder.step(variables, state.cache, token)
        next_state = SampleState(cache, logits, stopped, seen)
        return next_state, (token, ~state.stopped, is_finite)

    times = time + jnp.arange(CHUNK)
    state, outputs = jax.lax.scan(step, state, times)
    return state, [x.swapaxes(0, 1) for x in outputs]
