"""Standardizing agrees with scikit-learn."""

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

import fdl.data
from fdl.errors import UserError


def test_training_data_decides_for_all():
    rng = np.random.default_rng(0)
    train, test = (
        {"features": rng.normal(1e3, 5, (n, 4)), "label": np.arange(n)} for n in (50, 9)
    )
    before = train["features"].copy()
    scaler = StandardScaler().fit(train["features"].astype(np.float64))
    for actual, arrays in zip(
        fdl.data.standardize(train, test), (train, test), strict=True
    ):
        expected = scaler.transform(arrays["features"].astype(np.float64))
        np.testing.assert_allclose(actual["features"], expected, atol=1e-6)
        assert actual["features"].dtype == np.float32
        assert actual["label"] is arrays["label"]
    np.testing.assert_array_equal(train["features"], before)


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e6 + 0.1])
def test_constants_are_only_shifted(constant):
    train = {"features": np.full((7, 1), constant, np.float32)}
    test = {"features": train["features"] + 2}
    _, shifted = fdl.data.standardize(train, test)
    np.testing.assert_allclose(shifted["features"], test["features"] - constant, 0.1)
    assert np.abs(shifted["features"]).max() < 3


@pytest.mark.parametrize("constant", [0.1, 1e30])
def test_constants_become_zero(constant):
    (learnt,) = fdl.data.standardize({"features": np.full((15, 1), constant)})
    assert not learnt["features"].any()


def test_targets_have_no_other_axis():
    (actual,) = fdl.data.standardize({"target": np.array([1.0, 3.0])}, name="target")
    np.testing.assert_array_equal(actual["target"], [-1, 1])


def test_an_unknown_name_is_answered_with_the_near_ones():
    with pytest.raises(UserError, match="Did you mean 'features'"):
        fdl.data.standardize({"features": np.ones((2, 1))}, name="feature")


def test_what_is_missing_is_told():
    with pytest.raises(UserError, match="'features': expected finite numbers"):
        fdl.data.standardize({"features": np.array([[1.0], [np.nan]])})
