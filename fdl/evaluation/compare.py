"""Paired comparison of two models on the same examples."""

import jax.numpy as jnp
import numpy as np

from fdl.evaluation.scores import ExampleScores
from fdl.metrics import paired_comparison


def compare(
    first: ExampleScores,
    second: ExampleScores,
    *,
    num_resamples: int = 2000,
    seed: int = 0,
) -> paired_comparison.Comparison:
    """Paired comparison of a metric: difference, confidence interval and p-value.

    The metric of each resample is computed from the sums of its examples, so that it
    need not be a mean over examples: see `fdl.metrics.paired_comparison.compare`.

    Args:
      first: Scores of the first model.
      second: Scores of the second model on the same examples, in the same order.
      num_resamples: Number of bootstrap resamples, and of random permutations.
      seed: Seed of the resampling.
    """
    return paired_comparison.compare(
        lambda rows: first.to_metric(rows.sum(axis=0)),
        jnp.asarray(first.sums),
        jnp.asarray(second.sums),
        num_resamples=num_resamples,
        seed=seed,
    )


def changes(first: ExampleScores, second: ExampleScores) -> paired_comparison.Changes:
    """Examples that only one of two models classifies correctly.

    Args:
      first: Accuracy scores of the first model.
      second: Accuracy scores of the second model on the same examples.
    """
    first_correct, second_correct = (scores.values >= 1 for scores in (first, second))
    return paired_comparison.Changes(
        np.flatnonzero(~first_correct & second_correct),
        np.flatnonzero(first_correct & ~second_correct),
    )
