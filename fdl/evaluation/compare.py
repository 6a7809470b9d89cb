"""Two models, held against each other on the same examples."""

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
    """The difference of a metric, its interval and p-value.

    Whatever the metric is, it is recomputed of the summed scores of the examples that
    are drawn or swapped: see `fdl.metrics.paired_comparison.compare`.

    Args:
      first: Of the first model.
      second: Of the second, on the same examples.
      num_resamples: How many times to draw, and to swap.
      seed: Of the drawing.
    """
    return paired_comparison.compare(
        lambda rows: first.whole(rows.sum(axis=0)),
        jnp.asarray(first.sums),
        jnp.asarray(second.sums),
        num_resamples=num_resamples,
        seed=seed,
    )


def changes(first: ExampleScores, second: ExampleScores) -> paired_comparison.Changes:
    """Which examples only one of the models has right.

    Args:
      first: The accuracy of the first model.
      second: That of the second.
    """
    before, after = (scores.values >= 1 for scores in (first, second))
    return paired_comparison.Changes(
        np.flatnonzero(~before & after), np.flatnonzero(before & ~after)
    )
