"""N-gram language models, to compare neural ones with."""

import functools
from collections.abc import Mapping

import numpy as np

from fdl.data.splits import Splits
from fdl.errors import UserError
from fdl.types import Evaluate, Experiment, Variables


def with_ngrams(
    experiment: Experiment, tokens: Splits, vocab_size: int, order: int = 6
) -> Experiment:
    """Language model beside n-gram models of order 1 to ``order``, on the same tokens.

    Evaluation and test have their losses as well, ``1_gram_loss`` and so on, in nats
    per token, and ``ahead_of_ngrams``, by how much the loss of the experiment is below
    the least of them.

    Args:
      experiment: Experiment of a language model with the metric ``loss``.
      tokens: Token ids of training, validation and test, int [N] each.
      vocab_size: Number of tokens in the vocabulary.
      order: Largest number of tokens of an n-gram.
    """

    def beside(evaluate: Evaluate, part: np.ndarray) -> Evaluate:
        @functools.cache
        def losses() -> dict[str, float]:
            found = ngram_log_likelihoods(tokens.train, part, order, vocab_size)
            return {f"{n}_gram_loss": -x.mean() for n, x in enumerate(found, start=1)}

        def evaluate_all(variables: Variables) -> Mapping[str, float]:
            ours = evaluate(variables)
            ahead = min(losses().values()) - ours["loss"]
            return {**ours, **losses(), "ahead_of_ngrams": ahead}

        return evaluate_all

    return experiment._replace(
        evaluate=beside(experiment.evaluate, tokens.validation),
        test=experiment.test and beside(experiment.test, tokens.test),
    )


def ngram_log_likelihoods(
    train: np.ndarray, held_out: np.ndarray, order: int, vocab_size: int
) -> np.ndarray:
    """Log-likelihoods of tokens by interpolated n-gram models, float64 [order, M].

    Witten-Bell smoothing: with T(h) different tokens after the context h,
    P(w | h) = (count(h w) + T(h) P(w | h')) / (count(h) + T(h)), where h' is h without
    its first token; after no context at all, each of the tokens is equally likely.

    Args:
      train: Tokens that are counted, int [N].
      held_out: Tokens that follow these, int [M].
      order: Number of tokens of the longest n-gram, at least 1.
      vocab_size: Number of tokens in the vocabulary.

    Returns:
      In nats, of each token, by models of order 1, 2, ...

    References:
      Witten and Bell, `The Zero-Frequency Problem: Estimating the Probabilities of
      Novel Events in Adaptive Text Compression <https://doi.org/10.1109/18.87000>`_,
      1991.

    Example:
      >>> tokens = np.array([0, 1, 0, 1, 0])
      >>> np.exp(ngram_log_likelihoods(tokens, np.array([1]), 1, 2)).tolist()
      [[0.42857142857142855]]
    """
    if order < 1:
        raise UserError(f"order={order}: expected at least 1")
    tokens = np.concatenate([train, held_out]).astype(np.int64)
    counted = np.arange(len(tokens)) < len(train)
    probability = np.full(len(tokens), 1 / vocab_size)
    context = np.zeros(len(tokens), np.int64)  # Index of each token's context.
    found = []
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
        found.append(np.log(probability[len(train) :]))
    return np.stack(found)


def _index(keys: np.ndarray) -> np.ndarray:
    """Index of each key among the different ones."""
    return np.unique(keys, return_inverse=True)[1]
