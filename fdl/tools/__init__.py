"""What one wants to know of any experiment: the pure parts of the tools."""

from fdl.tools.asking import Scores, ask, expected, score, white
from fdl.tools.checking import DOUBLE, SINGLE, LeafCheck, check_gradients
from fdl.tools.comparing import changes, compare
from fdl.tools.obstacles import obstacles
from fdl.tools.overfitting import Overfit, overfit
from fdl.tools.precision import rounded
from fdl.tools.range_test import RangeTest, range_test
from fdl.tools.reading import arrays, fitted, images, table
from fdl.tools.writing import as_csv, as_json, rows

__all__ = [
    "DOUBLE",
    "SINGLE",
    "LeafCheck",
    "Overfit",
    "RangeTest",
    "Scores",
    "arrays",
    "as_csv",
    "as_json",
    "ask",
    "changes",
    "check_gradients",
    "compare",
    "expected",
    "fitted",
    "images",
    "obstacles",
    "overfit",
    "range_test",
    "rounded",
    "rows",
    "score",
    "table",
    "white",
]
