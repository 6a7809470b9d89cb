"""Negative sampling."""

import jax

from fdl.losses.arguments import check_array, check_pair
from fdl.types import Array


def negative_sampling(positive: Array, negative: Array, weights: Array) -> Array:
    """Negative sampling: a true pair told from drawn ones, each by logistic regression.

    −log σ(s) − Σ w log σ(−s'), where s is the score of the true pair and s' those of
    the drawn ones.

    Args:
      positive: Scores of true pairs, float [...].
      negative: Scores of the pairs drawn for each of them, float [..., K].
      weights: Weights w of the drawn pairs, float [..., K], such as zero of one that is
        true.

    Returns:
      Loss of each true pair, float [...].

    References:
      Mikolov et al., `Distributed Representations of Words and Phrases and their
      Compositionality <https://arxiv.org/abs/1310.4546>`_, 2013, section 2.2.
    """
    check_pair("weights", weights, "negative", negative)
    check_array("positive", positive, "float", negative.shape[:-1], "of each K")
    drawn = (weights * jax.nn.softplus(negative)).sum(axis=-1)
    return jax.nn.softplus(-positive) + drawn
