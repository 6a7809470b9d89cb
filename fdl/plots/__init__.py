"""Plots of metrics, predictions and weights as matplotlib figures.

Functions take NumPy arrays and return a `Figure`: notebooks display the last one of a
cell, and `save` writes it to a file. Colours suit readers with red-green colour
blindness.
"""

from fdl.plots.attention_maps import attention_maps
from fdl.plots.comparison import comparison
from fdl.plots.confusion_matrix import confusion_matrix
from fdl.plots.curves import curves
from fdl.plots.density import density
from fdl.plots.embedding import embedding
from fdl.plots.episodes import episode, gif
from fdl.plots.figure import COLORS, colors, new_figure, save
from fdl.plots.filters import filters, weights
from fdl.plots.generative import generative, samples
from fdl.plots.layer_stats import layer_stats
from fdl.plots.lr_range_test import lr_range_test
from fdl.plots.mistakes import mistakes, worst
from fdl.plots.performance_profiles import performance_profiles
from fdl.plots.regression import predictions, residuals
from fdl.plots.reliability import reliability
from fdl.plots.roc_curves import precision_recall, roc
from fdl.plots.token_losses import loss_by_position, token_surprise

__all__ = [
    "COLORS",
    "attention_maps",
    "colors",
    "comparison",
    "confusion_matrix",
    "curves",
    "density",
    "embedding",
    "episode",
    "filters",
    "generative",
    "gif",
    "layer_stats",
    "loss_by_position",
    "lr_range_test",
    "mistakes",
    "new_figure",
    "performance_profiles",
    "precision_recall",
    "predictions",
    "reliability",
    "residuals",
    "roc",
    "samples",
    "save",
    "token_surprise",
    "weights",
    "worst",
]
