"""Preprocessing agrees with scikit-learn and with NumPy, and tells what is wrong."""

import math

import jax
import numpy as np
import pytest
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fdl.data
from fdl.data import encoder, preprocessing, preprocessor
from fdl.data.npz_files import as_dtype
from fdl.errors import UserError

RAW = {"features": np.array([[30.0, 1e3], [50, 3e3], [40, 5e3]], np.float32)}
NUMBERS = preprocessing.features(RAW["features"], columns=("age", "income"))
DIGITS = preprocessing.images((8, 8, 1), white=16)
PEOPLE = [
    {"age": str(age), "town": town, "species": species}
    for age, town, species in zip(
        [30, 41, "", 25, 33, 60], "RORORR", ["cat", "dog"] * 3, strict=True
    )
]


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


@pytest.fixture(scope="module")
def digits(data_dir):
    del data_dir
    return fdl.data.load("digits", "test")


# Images.


def test_digits_are_scaled_as_by_scale(digits):
    batches = fdl.data.batches(digits, 90, shuffle=False)
    taken = [
        jax.jit(kind.take)(kind.data, next(kind.stream(1)))
        for kind in (
            fdl.data.transform(batches, preprocessor(DIGITS)),
            fdl.data.scale(batches, image=1 / 16),
        )
    ]
    np.testing.assert_array_equal(taken[0]["image"], taken[1]["image"])
    expected = digits["image"][90:180].astype(np.float64) / 16
    np.testing.assert_array_equal(taken[0]["image"], expected)
    np.testing.assert_array_equal(taken[0]["label"], digits["label"][90:180])
    assert taken[0]["image"].dtype == np.float32


@pytest.mark.parametrize(
    "dtype, white", [("uint8", 255), ("uint8", 16), ("uint16", 65535), ("float32", 1)]
)
def test_pixels_become_what_the_data_has_and_come_back_on_the_device(dtype, white):
    pixels = np.linspace(0, 1, 12, dtype=np.float32).reshape(2, 2, 3, 1)
    images = preprocessing.images((2, 3, 1), dtype, white=white)
    encoded = encoder(images)(pixels)["image"]
    assert encoded.dtype == dtype and encoded.min() == 0 and encoded.max() == white
    if dtype == "uint8":  # As `fdl predict` did with the brightest pixel of a test set.
        before = as_dtype((pixels * white).round(), encoded.dtype, "image")
        np.testing.assert_array_equal(encoded, before)
    back = preprocessor(images)({"image": encoded})["image"]
    steps = white if np.dtype(dtype).kind == "u" else math.inf
    np.testing.assert_allclose(back, pixels, rtol=1e-6, atol=0.5 / steps + 1e-7)


def test_images_of_half_precision_stay_so():
    images = preprocessing.images((1, 1, 1), "bfloat16", white=1.0)
    encoded = encoder(images)(np.full((1, 1, 1, 1), 1 / 3))["image"]
    assert encoded.dtype == jax.numpy.bfloat16
    assert preprocessor(images)({"image": encoded})["image"].dtype == encoded.dtype


def test_arrays_of_images_are_taken_as_they_are(digits):
    encoded = encoder(DIGITS)(digits)
    assert [*encoded] == ["image"]
    np.testing.assert_array_equal(encoded["image"], digits["image"])


# Tables.


def test_features_are_standardized_as_in_training(data_dir):
    train, test = (fdl.data.load("breast_cancer", part) for part in ("train", "test"))
    encode = encoder(preprocessing.features(train["features"]))
    scaler = StandardScaler().fit(train["features"].astype(np.float64))
    for raw, standardized in zip(
        (train, test), fdl.data.standardize(train, test), strict=True
    ):
        actual = encode(raw)["features"]
        np.testing.assert_array_equal(actual, standardized["features"])
        expected = scaler.transform(raw["features"].astype(np.float64))
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def test_rows_are_encoded_as_arrays():
    rows = [
        {"income": i, "other": "x", "age": f" {a} "}
        for a, i in RAW["features"].tolist()
    ]
    encode = encoder(NUMBERS)
    np.testing.assert_array_equal(encode(rows)["features"], encode(RAW)["features"])


def test_missing_numbers_become_the_mean():
    rng = np.random.default_rng(0)
    train, new = rng.normal(5, 3, (2, 20, 3))
    train[rng.random(train.shape) < 0.3] = np.nan
    new[0] = np.nan
    numbers = preprocessing.features(train, columns="abc", missing=True)
    expected = make_pipeline(SimpleImputer(), StandardScaler()).fit(train)
    encode = encoder(numbers)
    for values in (train, new):
        actual = encode({"features": values})["features"]
        np.testing.assert_allclose(actual, expected.transform(values), atol=1e-6)
    row = {"a": "?", "b": "", "c": None}
    np.testing.assert_array_equal(encode([row])["features"], np.zeros((1, 3)))


@pytest.mark.parametrize("one_hot", [True, False])
def test_rows_of_a_table_are_encoded_as_by_its_encoding(one_hot):
    table = fdl.data.table(PEOPLE, "species", num_folds=3, one_hot=one_hot)
    encode = encoder(preprocessing.table(table.encoding))
    rows = [{"age": "?", "town": "Q"}, {"age": 7, "town": None}]
    for raw, expected in (
        (rows, table.encoding.encode(rows)),
        (table.train, table.train),
    ):
        actual = encode(raw)
        assert {*actual} == {*expected} - {"label"}
        for name, array in actual.items():
            np.testing.assert_array_equal(array, expected[name])
            assert array.dtype == expected[name].dtype


def test_arrays_without_columns_are_columns_by_number():
    plain = preprocessing.arrays(x=jax.ShapeDtypeStruct((2,), "int32"))
    with pytest.raises(UserError, match="'x', row 2, column 1: expected whole numbers"):
        encoder(plain)({"x": [[1, 2], [0.5, 0]]})
    named = plain._replace(columns=("a", "b"))
    assert encoder(named)([{"b": "2", "a": 1.0}])["x"].tolist() == [[1, 2]]


def test_several_inputs_are_encoded_together():
    both = preprocessing.arrays(
        token=jax.ShapeDtypeStruct((3,), "int32"),
        valid=jax.ShapeDtypeStruct((), "bool"),
    )
    encoded = encoder(both)({"token": np.ones((2, 3)), "valid": [0, 1], "y": "unused"})
    assert {k: v.dtype.name for k, v in encoded.items()} == {
        "token": "int32",
        "valid": "bool",
    }
    with pytest.raises(
        UserError, match=r"equal length, got \{'token': 2, 'valid': 1\}"
    ):
        encoder(both)({"token": np.ones((2, 3)), "valid": [True]})


# Mistakes.

PIXELS = np.zeros((2, 8, 8, 1), np.float32)
WRONG = {
    "a range of 255": (
        DIGITS,
        {"image": PIXELS + 255},
        "from 0 to 16 (uint8), got 255",
    ),
    "a fraction": (
        DIGITS,
        {"image": PIXELS + 0.5},
        "'image', row 1, at [0, 0, 0]: exp",
    ),
    "bytes as pixels": (DIGITS, PIXELS + 255, "numbers from 0 to 1 (float32), got 255"),
    "negative pixels": (DIGITS, PIXELS - 1, "from 0 to 1 (float32), got -1"),
    "no number": (DIGITS, PIXELS * np.nan, "expected finite numbers, got nan"),
    "a shape": (
        DIGITS,
        PIXELS[:, :4],
        "'image' is [4, 8, 1] in each of 2 examples: exp",
    ),
    "no example": (
        DIGITS,
        {"image": PIXELS[:0]},
        "of 0 examples: expected [8, 8, 1] in",
    ),
    "no such array": (
        DIGITS,
        {"imag": PIXELS},
        "expected an array. Did you mean 'imag'",
    ),
    "text": (
        NUMBERS,
        {"features": [["a", "b"]]},
        "'features' is <U1 [1, 2]: expected nu",
    ),
    "complex": (
        NUMBERS,
        {"features": [[1j, 0]]},
        "complex128 [1, 2]: expected numbers",
    ),
    "one number": (NUMBERS, {"features": 1.0}, "float64 []: expected numbers [N, ...]"),
    "pixels of a table": (NUMBERS, PIXELS, "expected arrays by name or the rows of a"),
    "rows of pixels": (DIGITS, [{"age": 1}], "arrays by name, got the rows of a table"),
    "a width": (
        NUMBERS,
        {"features": [[1.0]]},
        "is [1] in each of 1 examples: expected [2",
    ),
    "infinity": (
        NUMBERS,
        {"features": [[1, 2], [3, np.inf]]},
        "row 2, column 'income'",
    ),
    "missing": (
        NUMBERS,
        {"features": [[np.nan, 2]]},
        "'features', row 1, column 'age'",
    ),
    "too large": (
        NUMBERS,
        {"features": [[1e300, 2]]},
        "column 'age': expected numbers fr",
    ),
    "far too large": (NUMBERS, {"features": [[-1e308, 2]]}, "row 1, column 'age'"),
    "a word": (
        NUMBERS,
        [{"age": "x", "income": 1}],
        "row 1, column 'age': expected a nu",
    ),
    "a gap": (NUMBERS, [{"age": "", "income": 1}], "'age': expected a number, got ''"),
    "a column": (
        NUMBERS,
        [{"aged": 1, "income": 1}],
        "a column 'age'. Did you mean 'aged",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_raw_examples_are_checked(case):
    which, raw, message = WRONG[case]
    with pytest.raises(UserError) as caught:
        encoder(which)(raw)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_batch_without_the_input_is_told():
    with pytest.raises(UserError, match="'image': expected an array"):
        preprocessor(DIGITS)({"images": PIXELS})


@pytest.mark.parametrize(
    "make, message",
    [
        (
            lambda: preprocessing.images((1, 1, 1), white=0),
            "white=0: expected a positive",
        ),
        (
            lambda: preprocessing.features(np.ones((3, 2)), columns="a"),
            "one name for each",
        ),
        (lambda: preprocessing.features(np.array([[np.inf]]), missing=True), "finite"),
    ],
)
def test_what_cannot_be_declared_is_told(make, message):
    with pytest.raises(UserError, match=message):
        make()
