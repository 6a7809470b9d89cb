"""Divisions and folds are those of scikit-learn."""

import numpy as np
import pytest
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split

import fdl.data
from fdl.data.splits import split_indices
from fdl.errors import UserError

LABELS = np.repeat([0, 1, 2], [11, 9, 6])
NUMBERS = np.linspace(0, 1, 26)


@pytest.mark.parametrize("num_folds", [2, 3, 5])
@pytest.mark.parametrize("labels", [LABELS, NUMBERS], ids=["classes", "numbers"])
def test_folds_equal_scikit_learn(labels, num_folds):
    kind = StratifiedKFold if labels is LABELS else KFold
    divided = kind(num_folds, shuffle=True, random_state=3).split(labels, labels)
    found = fdl.data.folds(labels, num_folds, seed=3)
    assert found.train.shape[0] == found.test.shape[0] == num_folds
    for k, (train, test) in enumerate(divided):
        np.testing.assert_array_equal(found.train[k][found.train_mask[k] > 0], train)
        np.testing.assert_array_equal(found.test[k][found.test_mask[k] > 0], test)
    assert found.train.dtype == found.test.dtype == np.int32
    assert found.train_mask.dtype == found.test_mask.dtype == np.float32
    assert not found.train_mask.all() or 26 % num_folds == 0


@pytest.mark.parametrize("stratified", [True, False])
def test_every_example_is_tested_once_and_never_where_it_is_learnt(stratified):
    found = fdl.data.folds(LABELS, 4, stratified=stratified)
    tested = np.concatenate(
        [test[mask > 0] for test, mask in zip(found.test, found.test_mask, strict=True)]
    )
    np.testing.assert_array_equal(np.sort(tested), np.arange(26))
    for k in range(4):
        learnt = set(found.train[k]) | set(found.train[k][found.train_mask[k] > 0])
        assert learnt.isdisjoint(found.test[k]) and len(learnt) + 6 <= 26
        # What only fills up is one of the fold's own.
        assert set(found.train[k]) == learnt
    shares = [
        np.bincount(LABELS[t[m > 0]], minlength=3)
        for t, m in zip(found.test, found.test_mask, strict=True)
    ]
    spread = np.ptp(shares, axis=0).max()
    assert spread <= 1 if stratified else spread > 1


def splits(*sizes):
    """The examples in their order, in parts of these sizes."""
    features, ends = np.arange(52.0).reshape(26, 2), np.cumsum(sizes)
    return fdl.data.Splits(
        *(
            {"features": features[end - size : end], "label": LABELS[end - size : end]}
            for end, size in zip(ends, sizes, strict=True)
        )
    )


@pytest.mark.parametrize("sizes", [(20, 6), (14, 6, 6)])
def test_a_fold_of_all_examples_is_held_out_for_validation(sizes):
    whole, expected = np.arange(52.0).reshape(26, 2), fdl.data.folds(LABELS, 3, seed=1)
    for k in range(3):
        found = fdl.data.fold(splits(*sizes), num_folds=3, fold=k, seed=1)
        assert found.test is None
        for arrays, index, mask in (
            (found.train, expected.train[k], expected.train_mask[k]),
            (found.validation, expected.test[k], expected.test_mask[k]),
        ):
            rows = index[mask > 0]
            np.testing.assert_array_equal(arrays["features"], whole[rows])
            np.testing.assert_array_equal(arrays["label"], LABELS[rows])


def test_no_folds_leave_splits_as_they_are():
    given = splits(14, 6, 6)
    assert fdl.data.fold(given) is given


@pytest.mark.parametrize("labels", [LABELS, NUMBERS], ids=["classes", "numbers"])
def test_three_parts_equal_scikit_learn(labels):
    def divide(index, size):
        stratify = labels[index] if labels is LABELS else None
        return train_test_split(
            index, test_size=size, random_state=5, stratify=stratify
        )

    kept, test = divide(np.arange(26), 0.3)
    expected = (*divide(kept, 0.2), test)
    found = split_indices(labels, validation_fraction=0.2, test_fraction=0.3, seed=5)
    for actual, index in zip(found, expected, strict=True):
        np.testing.assert_array_equal(actual, index)
        assert actual.dtype == np.int32


def test_splits_are_standardised_by_the_training_part_alone():
    given = splits(14, 6, 6)
    encoded = fdl.data.encode_splits(
        given, fdl.data.preprocessing.features(given.train["features"])
    )
    mean, std = (f(given.train["features"], axis=0) for f in (np.mean, np.std))
    for part, raw in zip(encoded, given, strict=True):
        expected = (raw["features"] - mean) / std
        np.testing.assert_allclose(part["features"], expected, rtol=1e-6)
        assert part["label"] is raw["label"]
    without_test = fdl.data.encode_splits(
        given._replace(test=None),
        fdl.data.preprocessing.features(given.train["features"]),
    )
    assert without_test.test is None


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_pixels_above_the_threshold_are_one(dtype):
    images = np.array([[[7], [8]], [[9], [16]]], dtype)
    given = fdl.data.Splits({"image": images, "label": LABELS}, {"image": images[:1]})
    found = fdl.data.binarized(given, threshold=8)
    np.testing.assert_array_equal(found.train["image"], [[[0], [0]], [[1], [1]]])
    np.testing.assert_array_equal(found.validation["image"], [[[0], [0]]])
    assert found.train["image"].dtype == np.uint8
    assert found.train["label"] is LABELS and found.test is None


def test_images_to_binarise_that_are_not_there_are_told():
    given = fdl.data.Splits({"pixels": LABELS}, {"pixels": LABELS})
    with pytest.raises(UserError, match="name='image': expected an array"):
        fdl.data.binarized(given, threshold=8)


FOLDED = fdl.data.Splits({"labels": LABELS}, {"labels": LABELS})


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: fdl.data.folds(LABELS, 1), "num_folds=1"),
        (lambda: split_indices(LABELS, num_folds=-3), "num_folds=-3"),
        (
            lambda: fdl.data.folds(NUMBERS, 27),
            "expected 2 to 26, the number of examples",
        ),
        (
            lambda: fdl.data.folds(LABELS, 7),
            "class 2: expected at least 7 examples for 7 folds, got 6 of 26",
        ),
        (lambda: split_indices(LABELS, num_folds=3, fold=3), "fold=3: expected 0 to 2"),
        (lambda: split_indices(LABELS, test_fraction=0.0), "test_fraction=0.0"),
        (
            lambda: split_indices(LABELS, test_fraction=0.99),
            "test_fraction=0.99: expected to leave at least 3 of 26 examples",
        ),
        (
            lambda: split_indices(LABELS, validation_fraction=1.0),
            "validation_fraction=1.0: expected between 0 and 1",
        ),
        (
            lambda: split_indices(LABELS, validation_fraction=0.1),
            "validation_fraction=0.1: expected to leave at least 3 of 19 examples",
        ),
        (
            lambda: split_indices(np.repeat([0, 1], [9, 2])),
            "class 1: expected at least 3 examples for a division into three parts, "
            "got 2 of 11",
        ),
        (
            lambda: fdl.data.fold(FOLDED, num_folds=2),
            "labels='label': expected an array. Did you mean 'labels'",
        ),
    ],
)
def test_impossible_divisions_are_refused(call, message):
    with pytest.raises(UserError, match=message):
        call()
