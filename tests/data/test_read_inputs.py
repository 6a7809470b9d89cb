"""New examples are read from files as the training data was; mistakes are one line."""

import csv
import re
import zipfile

import jax
import numpy as np
import pytest
from PIL import Image

import fdl.data
from fdl.data import preprocessing, read_inputs
from fdl.data.image.image_files import read_images
from fdl.data.npz_files import as_dtype
from fdl.errors import UserError

RANDOM = np.random.default_rng(0)
DIGITS = preprocessing.images((8, 8, 1), white=16)
NUMBERS = RANDOM.normal(50, 9, (12, 3)).round(2)
COLUMNS = ("age", "bmi", "bp")
NAMED = preprocessing.features(NUMBERS, columns=COLUMNS)
UNNAMED = preprocessing.features(NUMBERS)
ROWS = [{"age": i, "town": "RO"[i % 2], "y": 3 * i} for i in range(12)]
TABLE = fdl.data.table(ROWS, "y", classes=False)
BOTH = preprocessing.arrays(
    a=jax.ShapeDtypeStruct((2,), "int32"), b=jax.ShapeDtypeStruct((), "bool")
)


def write_csv(path, *lines):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(lines)
    return path


def write_picture(path, pixels, mode=None):
    Image.fromarray(np.asarray(pixels, np.uint8), mode).save(path)
    return path


# Images.


@pytest.mark.parametrize("invert", [False, True])
def test_pictures_become_images_of_the_data(invert, tmp_path):
    pixels = RANDOM.integers(0, 256, (2, 24, 24))
    paths = [write_picture(tmp_path / f"{i}.png", x) for i, x in enumerate(pixels)]
    arrays, names = read_inputs(DIGITS, paths, invert=invert)
    assert names == [*map(str, paths)]
    # As `fdl predict` did with the brightest pixel of the test data.
    before = (read_images(paths, (8, 8, 1), invert=invert) * 16.0).round()
    expected = as_dtype(before, np.dtype("uint8"), "image")
    np.testing.assert_array_equal(arrays["image"], expected)
    means = pixels.reshape(2, 8, 3, 8, 3).mean(axis=(2, 4))[..., None] * 16 / 255
    np.testing.assert_allclose(
        arrays["image"], 16 - means if invert else means, atol=0.6
    )


def test_dark_pictures_stay_dark(tmp_path):
    path = write_picture(tmp_path / "a.png", np.full((8, 8), 51))
    mnist = preprocessing.images((8, 8, 1))
    for which, value in ((mnist, 51), (DIGITS, 3)):
        arrays, _ = read_inputs(which, [str(path)])
        assert arrays["image"].dtype == np.uint8 and (arrays["image"] == value).all()


def test_a_test_set_may_be_a_file(data_dir, tmp_path):
    del data_dir
    digits = fdl.data.load("digits", "test")
    np.savez(tmp_path / "a.npz", **digits)
    arrays, names = read_inputs(DIGITS, [tmp_path / "a.npz"])
    np.testing.assert_array_equal(arrays["image"], digits["image"])
    assert names == [str(i) for i in range(360)]


# Tables.


def test_columns_are_found_by_name_whatever_else_there_is(tmp_path):
    lines = [[i, bp, "x", age, bmi] for i, (age, bmi, bp) in enumerate(NUMBERS)]
    header = ["", " bp", "other", "age", "bmi"]
    path = write_csv(tmp_path / "a.csv", header, *lines)
    arrays, names = read_inputs(NAMED, [path])
    (expected,) = fdl.data.standardize({"features": NUMBERS})
    np.testing.assert_array_equal(arrays["features"], expected["features"])
    assert names == [str(i) for i in range(12)]


@pytest.mark.parametrize("header", [[], [("a", "b", "c")]])
def test_columns_without_names_stand_as_they_are(header, tmp_path):
    path = write_csv(tmp_path / "A.CSV", *header, *NUMBERS)
    arrays, _ = read_inputs(UNNAMED, [path])
    (expected,) = fdl.data.standardize({"features": NUMBERS})
    np.testing.assert_array_equal(arrays["features"], expected["features"])


def test_arrays_are_in_the_units_of_the_data(tmp_path):
    np.savez(tmp_path / "a.npz", features=NUMBERS)
    arrays, _ = read_inputs(NAMED, [tmp_path / "a.npz"])
    (expected,) = fdl.data.standardize({"features": NUMBERS})
    np.testing.assert_array_equal(arrays["features"], expected["features"])


def test_rows_of_numbers_and_text_are_encoded(tmp_path):
    table = preprocessing.table(TABLE.encoding)
    path = write_csv(tmp_path / "a.csv", ["town", "age"], ["R", "?"], ["Z", "7"])
    remarks = []
    arrays, _ = read_inputs(table, [path], warn=remarks.append)
    assert [remark.partition("a.csv: ")[2] for remark in remarks] == [
        "column 'age': missing in 1 of 2 rows, as never in training, taken as the mean "
        f"{TABLE.encoding.columns[0].mean:.6g}",
        "column 'town': unknown category in 1 of 2 rows, taken as zeros: 'Z'",
    ]
    rows = [{"town": "R", "age": None}, {"town": "Z", "age": 7}]
    expected = TABLE.encoding.encode(rows)["features"]
    np.testing.assert_array_equal(arrays["features"], expected)


def test_rows_without_values_are_answered(tmp_path):
    """Of one column, an empty line is a missing value; at the end it is nothing."""
    ages = [{"age": age, "y": i} for i, age in enumerate([1, 3, None] * 4)]
    table = fdl.data.table(ages, "y", classes=False, num_folds=2)
    (tmp_path / "a.csv").write_text("age\n1\n\n3\n\n")
    arrays, names = read_inputs(
        preprocessing.table(table.encoding), [tmp_path / "a.csv"]
    )
    expected = table.encoding.encode([{"age": age} for age in (1, None, 3)])
    np.testing.assert_array_equal(arrays["features"], expected["features"])
    assert names == ["0", "1", "2"]


def test_several_inputs_come_from_one_file(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.ones((3, 2)), b=np.array([True, False, True]))
    arrays, names = read_inputs(BOTH, [tmp_path / "a.npz"])
    assert arrays["a"].dtype == np.int32 and names == ["0", "1", "2"]
    assert arrays["b"].tolist() == [True, False, True]


# Mistakes.

ARRAYS = preprocessing.arrays(image=jax.ShapeDtypeStruct((8, 8, 1), "uint8"))
CODES = preprocessing.table(
    fdl.data.table(ROWS, "y", classes=False, one_hot=False).encoding
)
MISTAKES = {
    "nothing": (DIGITS, [], "expected images, or else one CSV or npz file"),
    "two kinds": (DIGITS, ["good.npz", "a.png"], "images, or else one CSV or npz file"),
    "two tables": (NAMED, ["t.csv", "t.csv"], "images, or else one CSV or npz file"),
    "no picture": (DIGITS, ["none.png"], "none.png: expected a file"),
    "no arrays": (DIGITS, ["none.npz"], "none.npz: expected a file"),
    "no table": (NAMED, ["none.csv"], "none.csv: no such file"),
    "text as a picture": (DIGITS, ["t.txt"], "t.txt: expected an undamaged image file"),
    "a picture of a table": (
        NAMED,
        ["a.png"],
        "a.png: the model takes [3] of each example, not an image: expected a CSV file",
    ),
    "a picture of unknown white": (
        ARRAYS,
        ["a.png"],
        "expected arrays by name, got the",
    ),
    "a picture of two inputs": (BOTH, ["a.png"], "an npz file with the arrays a, b"),
    "a picture of codes": (
        CODES,
        ["a.png"],
        "npz file with the arrays features, categ",
    ),
    "a table of two inputs": (BOTH, ["t.csv"], "an npz file with the arrays a, b"),
    "a table of images": (DIGITS, ["t.csv"], "[8, 8, 1] of each example, not a row"),
    "a column": (NAMED, ["t.csv"], "a column 'age'. Did you mean 'ages'?"),
    "a word": (
        NAMED,
        ["word.csv"],
        "word.csv: row 2, column 'bp': expected a number, go",
    ),
    "a word unnamed": (
        UNNAMED,
        ["plain.csv"],
        "plain.csv:2: column '3': expected a num",
    ),
    "infinity": (NAMED, ["inf.csv"], "inf.csv: row 1, column 'age': expected a number"),
    "a short row": (
        NAMED,
        ["short.csv"],
        "short.csv:3: expected 3 values, as in the f",
    ),
    "a name twice": (
        NAMED,
        ["twice.csv"],
        "twice.csv: expected different names, got 'age",
    ),
    "a header only": (
        NAMED,
        ["header.csv"],
        "expected rows below the header, got none",
    ),
    "another array": (
        DIGITS,
        ["other.npz"],
        "array in other.npz. Did you mean 'imag'?",
    ),
    "another shape": (
        DIGITS,
        ["flat.npz"],
        "flat.npz: 'image' is [64] in each of 1 exa",
    ),
    "another range": (
        DIGITS,
        ["bytes.npz"],
        "whole numbers from 0 to 16 (uint8), got 255",
    ),
    "a gap": (
        NAMED,
        ["gap.npz"],
        "gap.npz: 'features', row 2, column 'bmi': expected fin",
    ),
    "damage": (DIGITS, ["damaged.npz"], "damaged.npz: expected an undamaged npz file"),
    "deflated": (
        DIGITS,
        ["deflated.npz"],
        "deflated.npz: expected an undamaged npz fil",
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of files that are wrong for most models."""
    folder = tmp_path_factory.mktemp("mistakes")
    write_picture(folder / "a.png", np.zeros((8, 8)))
    (folder / "t.txt").write_text("x")
    for name, *lines in (
        ("t", ["ages", "bmi", "bp"], [1, 2, 3]),
        ("word", COLUMNS, [1, 2, 3], [1, 2, "x"]),
        ("plain", [1, 2, 3], [1, 2, "x"]),
        ("inf", COLUMNS, ["inf", 2, 3]),
        ("short", COLUMNS, [1, 2, 3], [1, 2]),
        ("twice", [*COLUMNS, "age"], [1, 2, 3, 4]),
        ("header", COLUMNS),
    ):
        write_csv(folder / f"{name}.csv", *lines)
    gap = np.where(np.arange(6).reshape(2, 3) == 4, np.nan, 1)
    for name, arrays in {
        "good": {"image": np.zeros((1, 8, 8, 1))},
        "other": {"imag": np.zeros((1, 8, 8, 1))},
        "flat": {"image": np.zeros((1, 64))},
        "bytes": {"image": np.full((1, 8, 8, 1), 255, np.uint8)},
        "gap": {"features": gap},
        "damaged": {"image": np.zeros((9, 8, 8, 1))},
    }.items():
        np.savez(folder / f"{name}.npz", **arrays)
    damage(folder / "damaged.npz", 1000)
    np.savez_compressed(folder / "deflated.npz", image=RANDOM.random((9, 8, 8, 1)))
    with zipfile.ZipFile(folder / "deflated.npz") as archive:
        start = archive.infolist()[0].header_offset + 100
    damage(folder / "deflated.npz", start)
    return folder


def damage(path, start):
    content = bytearray(path.read_bytes())
    content[start : start + 8] = b"\xff" * 8
    path.write_bytes(content)


@pytest.mark.parametrize("case", MISTAKES)
def test_every_mistake_is_one_line(case, folder, monkeypatch):
    monkeypatch.chdir(folder)
    which, paths, message = MISTAKES[case]
    with pytest.raises(UserError) as caught:
        read_inputs(which, paths)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_only_images_are_inverted(folder):
    with pytest.raises(UserError, match=re.escape("invert=True: expected images, not")):
        read_inputs(NAMED, [folder / "t.csv"], invert=True)
