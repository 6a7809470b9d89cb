"""Likelihood of texts under a language model."""

import functools
from collections.abc import Iterator, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from fdl import losses
from fdl.data.preprocessing import Preprocessing, preprocessor, tokenizer_of
from fdl.errors import UserError
from fdl.evaluation.predictors import only_input
from fdl.models import GPT
from fdl.types import Ability, Array, Key, Model, Variables

MAX_LOGITS = 1 << 26  # Of a batch: 256 MiB.


def language_model(
    model: Model, preprocessing: Preprocessing, *, inputs: str | None = None
) -> Ability:
    """Likelihood of texts: ``log_likelihood``, float [B], and ``num_tokens``, int [B].

    It is that of all tokens given those before them, in nats; the first token has none
    before it, and does not count. Padding counts for nothing, and need not be a token
    of the model.

    Args:
      model: Model of token ids, int [B, T], to the logits of the next ones, float
        [B, T, V].
      preprocessing: Preprocessing of the texts, as by `fdl.data.preprocessing.text`.
      inputs: Name of the token ids. Default: the only input.

    Raises:
      UserError: The tokenizer has more tokens than the model.
    """
    name, preprocess = only_input(preprocessing, inputs), preprocessor(preprocessing)
    tokenizer = tokenizer_of(preprocessing)
    pad = tokenizer.special["pad"]
    num_tokens = max(i for i in range(tokenizer.vocab_size) if i != pad) + 1
    vocab_size = getattr(model.module, "vocab_size", num_tokens)
    if num_tokens > vocab_size:
        raise UserError(
            f"tokenizer of {num_tokens} tokens: expected that of the model, which has "
            f"vocab_size={vocab_size}"
        )

    def score(variables: Variables, inputs: Mapping[str, Array], key: Key):
        del key
        tokens = preprocess(inputs)[name]
        is_token = tokens != pad
        weights = (is_token[:, 1:] & is_token[:, :-1]).astype(jnp.float32)
        tokens = jnp.where(is_token, tokens, 0)
        return {
            "log_likelihood": _sums(model.apply, variables, tokens, weights),
            "num_tokens": weights.sum(axis=1).astype(jnp.int32),
        }

    names = {"log_likelihood": (), "num_tokens": ()}
    spec = {"name": "language_model", "inputs": inputs}
    return Ability(score, preprocessing, names, spec)


def log_likelihoods(
    model: Model,
    variables: Variables,
    texts: Sequence[np.ndarray],
    *,
    window: int,
    stride: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Log-likelihood of token sequences of any length, by a sliding window.

    Each token but the first counts once, given at least ``window - stride`` tokens
    before it, where there are as many.

    Args:
      model: Model of token ids, int [B, T], to the logits of the next ones, float
        [B, T, V].
      variables: Its variables.
      texts: Token ids of each text, int [T] each.
      window: Number of tokens that the model is given at once.
      stride: By how many tokens the window moves on; at most ``window``, with which no
        two windows overlap and each begins without a context. Default: half of it.

    Returns:
      Log-likelihoods in nats, float64 [N], and numbers of tokens that count, int [N].

    Raises:
      UserError: The stride does not fit the window, or this not the model.

    References:
      `Perplexity of fixed-length models
      <https://huggingface.co/docs/transformers/perplexity>`_, for the window.
    """
    if window < 1:
        raise UserError(f"window={window}: expected at least 1")
    # Only a learned table of positions ends.
    if isinstance(model.module, GPT) and window > model.module.max_length:
        raise UserError(
            f"window={window}: expected at most {model.module.max_length}, the "
            "positions of the model"
        )
    stride = max(1, window // 2) if stride is None else stride
    if not 1 <= stride <= window:
        raise UserError(f"stride={stride}: expected 1 to {window}, as window={window}")
    parts = [
        (i, text[begin:end], counted - begin)
        for i, text in enumerate(texts)
        for begin, end, counted in _windows(len(text), window, stride)
    ]
    vocab_size = getattr(model.module, "vocab_size", 1 << 16)
    totals = np.zeros(len(texts))

    # Windows of nearly one length are computed together.
    sizes = [min(window, _power_of_two(len(part) - 1)) for _, part, _ in parts]
    for size in sorted({*sizes}):
        chosen = [p for p, s in zip(parts, sizes, strict=True) if s == size]
        most = max(1, MAX_LOGITS // (size * vocab_size))
        batch = min(most, _power_of_two(len(chosen)))
        for begin in range(0, len(chosen), batch):
            rows = chosen[begin : begin + batch]
            tokens = np.zeros((batch, size + 1), np.int32)
            weights = np.zeros((batch, size), np.float32)
            for row, (_, part, counted) in enumerate(rows):
                tokens[row, : len(part)] = part
                weights[row, counted - 1 : len(part) - 1] = 1
            found = np.asarray(
                _sums(model.apply, variables, tokens, weights), np.float64
            )
            np.add.at(totals, [i for i, _, _ in rows], found[: len(rows)])
    return totals, np.array([max(0, len(text) - 1) for text in texts], int)


def _windows(length: int, window: int, stride: int) -> Iterator[tuple[int, int, int]]:
    """Begin and end of each window in a text, and the first token that counts there."""
    begin, counted = 0, 1
    while counted < length:
        end = min(begin + window + 1, length)
        yield begin, end, counted
        begin, counted = begin + stride, end


def _power_of_two(number: int) -> int:
    """Least power of two that is not below a number."""
    return 1 << max(0, number - 1).bit_length()


@functools.partial(jax.jit, static_argnums=0)
def _sums(apply, variables, tokens, weights):
    """Log-likelihood of each row, float32 [B]; later tokens change nothing before."""
    logits, _ = apply(variables, tokens[:, :-1])
    nats = losses.cross_entropy(logits, tokens[:, 1:])
    return -jnp.where(weights > 0, nats, 0).sum(axis=1)
