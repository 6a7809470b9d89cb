"""Plots of metrics, predictions and weights as matplotlib figures.

Functions take NumPy arrays and return a `Figure`: notebooks display the last one of a
cell, and `save` writes it to a file. Colours suit readers with red-green colour
blindness.
"""

from fdl.pictures.arms import arms
from fdl.pictures.calibration import reliability
from fdl.pictures.canvas import COLORS, canvas, colors, save
from fdl.pictures.confusion import confusion_matrix
from fdl.pictures.curves import curves
from fdl.pictures.filters import filters, weights
from fdl.pictures.layers import layer_norms
from fdl.pictures.mistakes import mistakes, worst
from fdl.pictures.ranking import precision_recall, roc
from fdl.pictures.regression import predictions, residuals

__all__ = [
    "COLORS",
    "arms",
    "canvas",
    "colors",
    "confusion_matrix",
    "curves",
    "filters",
    "layer_norms",
    "mistakes",
    "precision_recall",
    "predictions",
    "reliability",
    "residuals",
    "roc",
    "save",
    "weights",
    "worst",
]
