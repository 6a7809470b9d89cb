"""Points in the plane, drawn once from a seed, to see densities and clusters."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from fdl.data.datasets.dataset import Dataset, Splits

NUM_TRAIN, NUM_TEST = 8000, 2000


def _ring(paths: Mapping[str, Path]) -> Splits:
    """Reader of ring: features float32 [N, 2], label int64 [N] of the Gaussian."""
    del paths  # Nothing is read.
    # A stream of random numbers that NumPy keeps as it is.
    random = np.random.RandomState(0)
    label = random.randint(8, size=NUM_TRAIN + NUM_TEST).astype(np.int64)
    angle = 2 * np.pi * label / 8
    centres = 2 * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return _split(centres + 0.05 * random.normal(size=centres.shape), label)


def _moons(paths: Mapping[str, Path]) -> Splits:
    """Reader of moons: features float32 [N, 2], label int64 [N] of the moon."""
    del paths  # Nothing is read.
    # Imported late: scikit-learn takes seconds.
    from sklearn.datasets import make_moons

    points, label = make_moons(NUM_TRAIN + NUM_TEST, noise=0.1, random_state=0)
    return _split(points, label.astype(np.int64))


def _split(points: np.ndarray, label: np.ndarray) -> Splits:
    arrays = {"features": points.astype(np.float32), "label": label}
    parts = {"train": slice(None, NUM_TRAIN), "test": slice(NUM_TRAIN, None)}
    return {
        name: {key: array[part] for key, array in arrays.items()}
        for name, part in parts.items()
    }


ring = Dataset(
    description="10,000 points of 8 Gaussians on a circle: radius 2, deviation 0.05.",
    homepage="https://arxiv.org/abs/1611.02163",
    read=_ring,
    num_classes={"label": 8},
)

moons = Dataset(
    description="10,000 points of two half circles, with Gaussian noise of 0.1.",
    homepage="https://scikit-learn.org/stable/modules/generated/"
    "sklearn.datasets.make_moons.html",
    read=_moons,
    num_classes={"label": 2},
)
