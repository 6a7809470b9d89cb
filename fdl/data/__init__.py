"""Data sets, tables, batches and augmentations."""

from fdl.data import augment
from fdl.data.batches import batches, order
from fdl.data.loading import load
from fdl.data.preprocessing import standardize
from fdl.data.sources import fingerprint
from fdl.data.splits import Folds, fold, folds
from fdl.data.tabular.csv_files import read_csv
from fdl.data.tabular.encoding import Encoding
from fdl.data.tabular.sklearn_tables import bundled_rows
from fdl.data.tabular.table import Table, table
from fdl.data.transforms import no_data, scale, stack, transform
from fdl.data.weighted_sampling import class_weights, weighted_batches

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
    "no_data",
    "order",
    "read_csv",
    "scale",
    "stack",
    "standardize",
    "table",
    "transform",
    "weighted_batches",
]
