"""Data sets, tables, batches and augmentations."""

from fdl.data import augment
from fdl.data.batching import batches, order
from fdl.data.bundled_rows import bundled_rows
from fdl.data.combining import nothing, scale, stack, transform
from fdl.data.csv_files import read_csv
from fdl.data.encoding import Encoding
from fdl.data.folding import Folds, fold, folds
from fdl.data.loading import load
from fdl.data.sources import fingerprint
from fdl.data.standardizing import standardize
from fdl.data.tables import Table, table
from fdl.data.weighting import class_weights, weighted_batches

__all__ = [
    "Encoding",
    "Folds",
    "Table",
    "augment",
    "batches",
    "bundled_rows",
    "class_weights",
    "fingerprint",
    "fold",
    "folds",
    "load",
    "nothing",
    "order",
    "read_csv",
    "scale",
    "stack",
    "standardize",
    "table",
    "transform",
    "weighted_batches",
]
