"""Data sets that fdl prepares itself, by name."""

from fdl.data.datasets.bundled import breast_cancer, diabetes, digits, iris, wine
from fdl.data.datasets.idx import fashion_mnist, mnist
from fdl.data.datasets.plane import moons, ring
from fdl.data.datasets.text import multi30k, sst2, tiny_shakespeare, trec

__all__ = [
    "breast_cancer",
    "diabetes",
    "digits",
    "fashion_mnist",
    "iris",
    "mnist",
    "moons",
    "multi30k",
    "ring",
    "sst2",
    "tiny_shakespeare",
    "trec",
    "wine",
]
