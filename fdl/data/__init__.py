"""Data sets, tables, batches and augmentations."""

from fdl.data import augment, preprocessing, text
from fdl.data.batches import batches, order
from fdl.data.drawn import drawn, drawn_splits
from fdl.data.in_turn import in_turn
from fdl.data.load_splits import binarized, centred, encode_splits, load_splits
from fdl.data.loading import load
from fdl.data.preprocessing import Preprocessing, encoder, preprocessor, standardize
from fdl.data.read_inputs import read_inputs
from fdl.data.sources import fingerprint
from fdl.data.splits import Folds, Splits, fold, folds
from fdl.data.tabular.csv_files import read_csv
from fdl.data.tabular.encoding import Encoding
from fdl.data.tabular.sklearn_tables import bundled_rows
from fdl.data.tabular.table import Table, table
from fdl.data.transforms import no_data, scale, transform, zip_batches
from fdl.data.weighted_sampling import class_weights, weighted_batches

__all__ = [
    "Encoding",
    "Folds",
    "Preprocessing",
    "Splits",
    "Table",
    "augment",
    "batches",
    "binarized",
    "bundled_rows",
    "centred",
    "class_weights",
    "drawn",
    "drawn_splits",
    "encode_splits",
    "encoder",
    "fingerprint",
    "fold",
    "folds",
    "in_turn",
    "load",
    "load_splits",
    "no_data",
    "order",
    "preprocessing",
    "preprocessor",
    "read_csv",
    "read_inputs",
    "scale",
    "standardize",
    "table",
    "text",
    "transform",
    "weighted_batches",
    "zip_batches",
]
