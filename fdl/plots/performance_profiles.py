"""Performance profiles and sample efficiency curves of several runs."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fdl.metrics.run_scores import (
    interquartile_mean,
    performance_profile,
    resampled,
)
from fdl.plots.class_names import literal
from fdl.plots.figure import colors, drawable, new_figure

NUM_RESAMPLES = 2000
CURVE_RESAMPLES, CURVE_POINTS = 300, 60
Points = tuple[Any, Any]  # Environment steps [T], and scores [T, S] of S seeds.


def performance_profiles(
    scores: Mapping[str, Any],
    *,
    curves: Mapping[str, Points] | None = None,
    name: str = "score",
    title: str = "",
) -> Figure:
    """Performance profiles of several algorithms, with bands of 95 %.

    At each score, the share of runs that exceed it, and pointwise percentiles of
    profiles of resampled runs. A curve above and to the right of another is better at
    every score. With curves of the training, a second panel has the sample efficiency:
    the interquartile mean over the seeds against the environment steps, with bands of
    95 % of resampled seeds.

    Args:
      scores: Scores of the runs of each algorithm, float [R], or [R, M] on M tasks.
      curves: Environment steps [T] and scores [T, S] of S seeds, of each algorithm; of
        more than 60 points every n-th is drawn. Default: no second panel.
      name: Name of the score.
      title: Title of the figure; none if empty.

    References:
      Agarwal et al., `Deep Reinforcement Learning at the Edge of the Statistical
      Precipice <https://arxiv.org/abs/2108.13264>`_, 2021, sections 4.2 and
      4.3.
    """
    arrays = {k: drawable(np.asarray(x, np.float64)) for k, x in scores.items()}
    low = min(x.min() for x in arrays.values())
    high = max(x.max() for x in arrays.values())
    margin = 0.05 * (high - low) or 1.0
    thresholds = np.linspace(low - margin, high + margin, 201)
    figure = new_figure(11.0 if curves else 5.5, 3.6, title)
    axes, *others = figure.subplots(1, 2 if curves else 1, squeeze=False)[0]
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
    for panel in others:
        _draw_curves(panel, curves or {}, name)
    return figure


def _draw_curves(axes: Axes, curves: Mapping[str, Points], name: str) -> None:
    """Draws interquartile means over environment steps, with bands."""
    for (label, points), color in zip(curves.items(), colors(len(curves)), strict=True):
        steps, values = (drawable(x) for x in points)
        # Means of short periods are left out where no episode has ended.
        known = np.isfinite(values).all(axis=1)
        every = slice(None, None, -(-known.sum() // CURVE_POINTS) or 1)
        steps, values = steps[known][every], values[known][every]
        if not len(steps):
            continue
        middle = _interquartile_means(values.T)
        axes.plot(steps, middle, color=color, label=literal(label))
        low, high = resampled(_interquartile_means, values.T, count=CURVE_RESAMPLES)
        axes.fill_between(steps, low, high, color=color, alpha=0.2)
    axes.set_xlabel("environment steps")
    axes.set_ylabel(f"{literal(name)} in training")
    axes.grid(alpha=0.3)


def _interquartile_means(scores: np.ndarray) -> np.ndarray:
    """Interquartile mean over runs, float [R, T], at each of T times."""
    return np.array([interquartile_mean(column) for column in scores.T])
