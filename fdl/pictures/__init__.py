"""Pictures of what a model does: arrays in, a matplotlib `Figure` out.

In a notebook a figure that ends a cell is shown; `save` writes it to a file. Colours
can be told apart by those who see no red or no green.
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
