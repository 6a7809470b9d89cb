"""Prepared data is what was published."""

import numpy as np
import pytest
from sklearn import datasets as sklearn
from sklearn.model_selection import train_test_split

import fdl.data

TABLES = {"iris": 150, "wine": 178, "breast_cancer": 569}

# How many there are of each digit.
MNIST_COUNTS = {
    "train": [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
    "test": [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_those_of_scikit_learn(name):
    features, label = getattr(sklearn, f"load_{name}")(return_X_y=True)
    expected = train_test_split(
        features, label, test_size=0.25, stratify=label, random_state=0
    )
    train, test = (fdl.data.load(name, split) for split in ("train", "test"))
    for array, reference in zip(
        (train["features"], test["features"], train["label"], test["label"]),
        expected,
        strict=True,
    ):
        np.testing.assert_array_equal(array, reference.astype(array.dtype))
    assert (train["features"].dtype, train["label"].dtype) == (np.float32, np.int32)
    assert len(train["label"]) + len(test["label"]) == TABLES[name]
    share = np.bincount(test["label"]) / np.bincount(label)
    np.testing.assert_allclose(share, 0.25, atol=0.02)


def test_digits_are_those_of_scikit_learn():
    table = sklearn.load_digits()
    expected = train_test_split(
        table.images, test_size=360, stratify=table.target, random_state=0
    )
    for split, images, size in zip(
        ("train", "test"), expected, (1437, 360), strict=True
    ):
        source = fdl.data.load("digits", split)
        assert source["image"].dtype == np.uint8
        assert source["image"].shape == (size, 8, 8, 1)
        np.testing.assert_array_equal(source["image"][..., 0], images)


def test_every_digit_keeps_its_label():
    table = sklearn.load_digits()
    label_of = {
        image.astype(np.uint8).tobytes(): label
        for image, label in zip(table.images, table.target, strict=True)
    }
    source = fdl.data.load("digits", "all")
    labels = [label_of.pop(image.tobytes()) for image in source["image"]]
    np.testing.assert_array_equal(labels, source["label"])
    assert not label_of  # None is missing, none is in both splits.


def test_diabetes_is_that_of_scikit_learn():
    features, target = sklearn.load_diabetes(return_X_y=True, scaled=False)
    expected = train_test_split(features, target, test_size=142, random_state=0)
    for i, (split, size) in enumerate([("train", 300), ("test", 142)]):
        source = fdl.data.load("diabetes", split)
        assert source["features"].shape == (size, 10)
        np.testing.assert_array_equal(source["features"], np.float32(expected[i]))
        np.testing.assert_array_equal(source["target"], np.float32(expected[i + 2]))


@pytest.mark.slow
@pytest.mark.parametrize(
    "split", ["test", pytest.param("train", marks=pytest.mark.slow)]
)
@pytest.mark.some(1)
def test_mnist_has_the_published_counts(mnist_dir, split):
    source = fdl.data.load("mnist", split, manual_dir=mnist_dir.parent)
    assert source["image"].shape == (sum(MNIST_COUNTS[split]), 28, 28, 1)
    assert source["image"].dtype == np.uint8
    np.testing.assert_array_equal(np.bincount(source["label"]), MNIST_COUNTS[split])


@pytest.mark.slow
def test_mnist_has_the_published_mean_and_deviation(mnist_dir):
    image = fdl.data.load("mnist", "train", manual_dir=mnist_dir.parent)["image"] / 255
    assert round(image.mean(), 4) == 0.1307
    assert round(image.std(), 4) == 0.3081


def test_the_ring_is_eight_gaussians_on_a_circle():
    parts = [fdl.data.load("ring", split) for split in ("train", "test")]
    assert [len(part["label"]) for part in parts] == [8000, 2000]
    points, label = (
        np.concatenate([part[name] for part in parts]) for name in ("features", "label")
    )
    assert points.dtype == np.float32
    angle = label * np.pi / 4
    noise = points - 2 * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    np.testing.assert_allclose(np.cov(noise.T), 0.0025 * np.eye(2), atol=1e-4)
    np.testing.assert_allclose(np.bincount(label) / 10_000, 0.125, atol=0.01)
    assert len(np.unique(points, axis=0)) == 10_000  # None is in both splits.


def test_the_moons_are_those_of_scikit_learn():
    points, label = sklearn.make_moons(10_000, noise=0.1, random_state=0)
    for split, part in (("train", slice(8000)), ("test", slice(8000, None))):
        source = fdl.data.load("moons", split)
        np.testing.assert_array_equal(source["features"], np.float32(points[part]))
        np.testing.assert_array_equal(source["label"], label[part])
