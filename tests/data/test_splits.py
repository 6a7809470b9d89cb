"""Folds are those of scikit-learn, in arrays of one shape."""

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


def test_one_fold_of_a_divided_data_set():
    train = {"features": np.arange(40.0).reshape(20, 2), "label": LABELS[:20]}
    test = {"features": 100 + np.arange(12.0).reshape(6, 2), "label": LABELS[20:]}
    whole = np.concatenate([train["features"], test["features"]])
    expected = fdl.data.folds(LABELS, 3, seed=1)
    for k in range(3):
        learnt, tested = fdl.data.fold(train, test, num_folds=3, fold=k, seed=1)
        for arrays, index, mask in (
            (learnt, expected.train[k], expected.train_mask[k]),
            (tested, expected.test[k], expected.test_mask[k]),
        ):
            rows = index[mask > 0]
            np.testing.assert_array_equal(arrays["features"], whole[rows])
            np.testing.assert_array_equal(arrays["label"], LABELS[rows])


def test_no_folds_leave_a_data_set_as_it_is():
    train, test = {"x": np.arange(3)}, {"x": np.arange(2)}
    assert fdl.data.fold(train, test) == (train, test)


@pytest.mark.parametrize("labels", [LABELS, NUMBERS], ids=["classes", "numbers"])
def test_a_share_equals_scikit_learn(labels):
    stratify = labels if labels is LABELS else None
    expected = train_test_split(
        np.arange(26), test_size=0.3, random_state=5, stratify=stratify
    )
    for actual, index in zip(split_indices(labels, 0.3, 5), expected, strict=True):
        np.testing.assert_array_equal(actual, index)
        assert actual.dtype == np.int32


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
        (lambda: split_indices(LABELS, 0.0), "test_fraction=0.0"),
        (lambda: split_indices(LABELS, 0.99), "at least 3 of 26 examples"),
        (lambda: split_indices(np.array([0, 0, 1])), "class 1: .* got 1 of 3"),
        (
            lambda: fdl.data.fold({"labels": LABELS}, {}, num_folds=2),
            "labels='label': expected an array. Did you mean 'labels'",
        ),
    ],
)
def test_impossible_divisions_are_refused(call, message):
    with pytest.raises(UserError, match=message):
        call()
