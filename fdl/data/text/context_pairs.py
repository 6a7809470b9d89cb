"""Pairs of words that are near each other."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fdl.errors import UserError


def context_pairs(
    documents: Sequence[Any],
    window: int,
    seed: int = 0,
    *,
    threshold: float | None = None,
) -> dict[str, np.ndarray]:
    """Pairs of a word and one near it, of the same document, as of word2vec.

    Each word has a window of its own, drawn from 1 to ``window``, so that nearer words
    count more. Of frequent words some are left out first, before the windows: a word of
    the frequency f stays with the probability √(threshold / f).

    Args:
      documents: Token ids of each document, int [T].
      window: Largest distance of the words of a pair.
      seed: Seed of what is drawn.
      threshold: Frequency above which words are left out at times. Default: none are.

    Returns:
      Token ids of each pair: ``center`` and ``context``, int32 [N].

    Raises:
      UserError: The window or the threshold is not valid.

    References:
      Mikolov et al., `Distributed Representations of Words and Phrases and their
      Compositionality <https://arxiv.org/abs/1310.4546>`_, 2013, section 2.3.

    Example:
      >>> pairs = context_pairs([[4, 5], [6], [7, 8]], window=1)
      >>> pairs["center"].tolist(), pairs["context"].tolist()
      ([4, 7, 5, 8], [5, 8, 4, 7])
    """
    if window < 1:
        raise UserError(f"window={window}: expected at least 1")
    if threshold is not None and threshold <= 0:
        raise UserError(f"threshold={threshold}: expected above 0, or None")
    random = np.random.default_rng(seed)
    tokens = np.concatenate([np.asarray(x, np.int32) for x in documents])
    document = np.repeat(np.arange(len(documents)), [len(x) for x in documents])
    if threshold is not None:
        frequency = np.bincount(tokens)[tokens] / len(tokens)
        stays = random.random(len(tokens)) < np.sqrt(threshold / frequency)
        tokens, document = tokens[stays], document[stays]
    own = random.integers(1, window + 1, len(tokens))
    first, second = [], []
    for distance in range(1, window + 1):
        left = np.arange(len(tokens) - distance)
        left = left[document[left] == document[left + distance]]
        right = left + distance
        for center, context in ((left, right), (right, left)):
            near = own[center] >= distance
            first.append(center[near])
            second.append(context[near])
    return {
        "center": tokens[np.concatenate(first)],
        "context": tokens[np.concatenate(second)],
    }
