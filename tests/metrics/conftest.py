"""What the tests of metrics share: random cases, degenerate ones among them."""

from typing import NamedTuple

import jax
import numpy as np
import pytest

EXAMPLES, CLASSES = 14, 4


def pytest_collection_modifyitems(items):
    """That scikit-learn warns of degenerate cases is known: they are what is tested."""
    for item in items:
        for warning in (
            "sklearn.exceptions.UndefinedMetricWarning",
            "UserWarning:sklearn",
            "RuntimeWarning:sklearn",
        ):
            item.add_marker(pytest.mark.filterwarnings(f"ignore::{warning}"))


class Cases(NamedTuple):
    """Many small problems: logits [R, N, C], labels and masks [R, N]."""

    logits: np.ndarray
    labels: np.ndarray
    mask: np.ndarray

    def rows(self):
        """What counts of each: logits [n, C], labels and weights [n]."""
        for logits, labels, mask in zip(*self, strict=True):
            kept = mask > 0
            yield logits[kept], labels[kept], mask[kept].astype(np.float64)

    def of(self, metric, **options):
        """The metric of each, float [R]."""
        compute = jax.vmap(lambda *arrays: metric(*arrays, **options).compute())
        return np.asarray(jax.jit(compute)(*self))


@pytest.fixture(params=[40, pytest.param(1000, marks=pytest.mark.slow)])
def num_cases(request):
    """How many random cases: few by default, as scikit-learn takes them one by one."""
    return request.param


@pytest.fixture
def cases(num_cases):
    """One label for each example, as few as scikit-learn takes one by one."""
    return of_classes(num_cases)


@pytest.fixture(scope="session")
def many_cases():
    """One label for each example."""
    return of_classes(2000)


def of_classes(num_cases):
    """Classes that are never the label, never chosen, or neither; weights, padding."""
    random = np.random.default_rng(0)
    shape = num_cases, EXAMPLES
    labels, logits = np.zeros(shape, np.int32), random.normal(size=(*shape, CLASSES))
    for case in range(num_cases):
        true, chosen = (
            random.choice(CLASSES, size=random.integers(1, CLASSES + 1), replace=False)
            for _ in range(2)
        )
        if case == 0:  # One class only, and it is chosen.
            true = chosen = [2]
        labels[case] = random.choice(true, size=EXAMPLES)
        logits[case][:, chosen] += 10
    return Cases(logits.astype(np.float32), labels, masks(random, shape))


@pytest.fixture
def yes_or_no(num_cases):
    """Two classes or one, by one logit each, with ties."""
    random = np.random.default_rng(1)
    shape = num_cases, EXAMPLES
    rate = random.choice([0, 0.1, 0.5, 1], size=(num_cases, 1), p=[0.1, 0.2, 0.6, 0.1])
    labels = (random.random(shape) < rate).astype(np.int32)
    logits = np.round(random.normal(size=shape) + labels, 1)
    return Cases(logits.astype(np.float32), labels, masks(random, shape))


@pytest.fixture
def several_labels(num_cases):
    """Several labels for each example, [R, N, L]."""
    random = np.random.default_rng(2)
    shape = num_cases, EXAMPLES
    rate = random.choice([0, 0.2, 0.5, 1], size=(num_cases, 1, CLASSES))
    labels = (random.random((*shape, CLASSES)) < rate).astype(np.int32)
    logits = np.round(random.normal(size=labels.shape) + labels - 0.5, 1)
    return Cases(logits.astype(np.float32), labels, masks(random, shape))


@pytest.fixture
def numbers(num_cases):
    """Predictions and targets, some of them constant or right, [R, N]."""
    random = np.random.default_rng(3)
    shape = num_cases, EXAMPLES
    targets, errors = random.normal(size=(2, *shape))
    targets = np.where(random.random((num_cases, 1)) < 0.1, 0.5, targets)
    kind = random.integers(10, size=(num_cases, 1))
    errors = np.select([kind == 0, kind == 1], [0, 0.25], errors)
    targets, errors = (
        np.round(targets, 2),
        np.round(errors, 2),
    )  # Float32 has constants.
    targets = targets.astype(np.float32)
    return Cases((targets + errors).astype(np.float32), targets, masks(random, shape))


def masks(random, shape):
    """None masked, padding, or weights: quarters, which float32 adds up exactly."""
    kind = random.integers(3, size=(shape[0], 1))
    padding = random.integers(2, size=shape)
    weights = random.integers(9, size=shape) / 4
    mask = np.select([kind == 0, kind == 1], [np.ones(shape), padding], weights)
    mask[:, :2] = np.maximum(mask[:, :2], 0.25)  # Something counts.
    return mask.astype(np.float32)
