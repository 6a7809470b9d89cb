"""Data: by name, as batches, and what goes on between."""

from fdl.data.batching import batches, order
from fdl.data.combining import nothing, scale, stack, transform
from fdl.data.loading import load
from fdl.data.sources import fingerprint
from fdl.data.standardizing import standardize

__all__ = [
    "batches",
    "fingerprint",
    "load",
    "nothing",
    "order",
    "scale",
    "stack",
    "standardize",
    "transform",
]
