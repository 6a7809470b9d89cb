"""What one wants to know of any experiment: the pure parts of the tools."""

from fdl.tools.asking import Scores, ask, expected, score, white
from fdl.tools.checking import DOUBLE, SINGLE, LeafCheck, check_gradients
from fdl.tools.comparing import changes, compare
from fdl.tools.frames import Frame
from fdl.tools.obstacles import obstacles
from fdl.tools.operations import Operation, Values, flaw
from fdl.tools.origins import Origin, origin
from fdl.tools.overfitting import Overfit, overfit
from fdl.tools.precision import rounded
from fdl.tools.range_test import RangeTest, range_test
from fdl.tools.reading import arrays, encoded, fitted, images, table
from fdl.tools.testing import Tested, first_batch, tested, truth_in
from fdl.tools.writing import as_csv, as_json, rows

__all__ = [
    "DOUBLE",
    "SINGLE",
    "Frame",
    "LeafCheck",
    "Operation",
    "Origin",
    "Overfit",
    "RangeTest",
    "Scores",
    "Tested",
    "Values",
    "arrays",
    "as_csv",
    "as_json",
    "ask",
    "changes",
    "check_gradients",
    "compare",
    "encoded",
    "expected",
    "first_batch",
    "fitted",
    "flaw",
    "images",
    "obstacles",
    "origin",
    "overfit",
    "range_test",
    "rounded",
    "rows",
    "score",
    "table",
    "tested",
    "truth_in",
    "white",
]
