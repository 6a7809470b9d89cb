"""N-gram language models, to compare neural ones with."""

import numpy as np

from fdl.errors import UserError


def ngram_log_likelihood(
    train: np.ndarray, held_out: np.ndarray, order: int, vocab_size: int
) -> np.ndarray:
    """Log-likelihood of tokens by an interpolated n-gram model, in nats, float64 [M].

    Witten-Bell smoothing: with T(h) different tokens after the context h,
    P(w | h) = (count(h w) + T(h) P(w | h')) / (count(h) + T(h)), where h' is h without
    its first token; after no context at all, each of the tokens is equally likely.

    Args:
      train: Tokens that are counted, int [N].
      held_out: Tokens that follow these, int [M].
      order: Number of tokens of an n-gram, at least 1.
      vocab_size: Number of tokens in the vocabulary.

    References:
      Witten and Bell, `The Zero-Frequency Problem: Estimating the Probabilities of
      Novel Events in Adaptive Text Compression <https://doi.org/10.1109/18.87000>`_,
      1991.

    Example:
      >>> tokens = np.array([0, 1, 0, 1, 0])
      >>> np.exp(ngram_log_likelihood(tokens, np.array([1]), 1, 2)).tolist()
      [0.42857142857142855]
    """
    if order < 1:
        raise UserError(f"order={order}: expected at least 1")
    tokens = np.concatenate([train, held_out]).astype(np.int64)
    counted = np.arange(len(tokens)) < len(train)
    probability = np.full(len(tokens), 1 / vocab_size)
    context = np.zeros(len(tokens), np.int64)  # Index of each token's context.
    for length in range(order):
        if length:
            # One token further back; none there is a token of its own.
            further = np.full(len(tokens), vocab_size)
            further[length:] = tokens[:-length]
            context = _index(context * (vocab_size + 1) + further)
        pair = _index(context * vocab_size + tokens)
        count = np.bincount(pair[counted], minlength=pair.max() + 1)[pair]
        in_context = np.bincount(context[counted], minlength=context.max() + 1)
        _, first = np.unique(pair[counted], return_index=True)
        different = np.bincount(context[counted][first], minlength=context.max() + 1)[
            context
        ]
        total = in_context[context] + different
        # After a context that was never seen, the shorter one is all there is.
        mixed = (count + different * probability) / np.maximum(total, 1)
        probability = np.where(total > 0, mixed, probability)
    return np.log(probability[len(train) :])


def _index(keys: np.ndarray) -> np.ndarray:
    """Index of each key among the different ones."""
    return np.unique(keys, return_inverse=True)[1]
