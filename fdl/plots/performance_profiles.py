"""Performance profiles: which share of runs exceeds a score."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from fdl.metrics.run_scores import performance_profile, resampled
from fdl.plots.class_names import literal
from fdl.plots.figure import colors, drawable, new_figure

NUM_RESAMPLES = 2000


def performance_profiles(
    scores: Mapping[str, Any], *, name: str = "score", title: str = ""
) -> Figure:
    """Performance profiles of several algorithms, with bands of 95 %.

    At each score, the share of runs that exceed it, and pointwise percentiles of
    profiles of resampled runs. A curve above and to the right of another is better at
    every score.

    Args:
      scores: Scores of the runs of each algorithm, float [R], or [R, M] on M tasks.
      name: Name of the score.
      title: Title of the figure; none if empty.

    References:
      Agarwal et al., `Deep Reinforcement Learning at the Edge of the Statistical
      Precipice <https://arxiv.org/abs/2108.13264>`_, 2021, section 4.2.
    """
    arrays = {k: drawable(np.asarray(x, np.float64)) for k, x in scores.items()}
    low = min(x.min() for x in arrays.values())
    high = max(x.max() for x in arrays.values())
    margin = 0.05 * (high - low) or 1.0
    thresholds = np.linspace(low - margin, high + margin, 201)
    figure = new_figure(5.5, 3.6, title)
    axes = figure.subplots()
    for (label, x), color in zip(arrays.items(), colors(len(arrays)), strict=True):
        shares = performance_profile(x, thresholds)
        axes.step(thresholds, shares, where="post", color=color, label=literal(label))
        profile = partial(performance_profile, thresholds=thresholds)
        low, high = resampled(profile, x, count=NUM_RESAMPLES)
        axes.fill_between(thresholds, low, high, step="post", color=color, alpha=0.2)
    axes.set_xlabel(literal(name))
    axes.set_ylabel("share of runs above")
    axes.set_ylim(-0.02, 1.02)
    axes.grid(alpha=0.3)
    axes.legend()
    return figure
