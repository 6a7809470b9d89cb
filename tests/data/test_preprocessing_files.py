"""A preprocessing comes back from its files, and hostile ones are told in a line."""

import json
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fdl.data
from fdl.data import encoder, preprocessing, preprocessor
from fdl.data.preprocessing_files import MAX_BYTES, from_files, to_files
from fdl.errors import UserError

RANDOM = np.random.default_rng(0)
NUMBERS = RANDOM.normal(1 / 3, 5, (9, 2))
GAPS = np.where(RANDOM.random((9, 2)) < 0.3, np.nan, NUMBERS)
ROWS = [
    {"age": age, "town": town, "y": i}
    for i, (age, town) in enumerate(
        zip([0.1, 2, None, 1 / 3] * 3, "RÖQR" * 3, strict=True)
    )
]
NEW = [{"age": 1 / 7, "town": "Ö"}, {"age": None, "town": None}]


def table(**options):
    encoding = fdl.data.table(ROWS, "y", classes=False, num_folds=2, **options).encoding
    return preprocessing.table(encoding)


KINDS = {
    "bytes": (preprocessing.images((2, 2, 1), white=16), np.ones((3, 2, 2, 1)) / 3),
    "floats": (
        preprocessing.images((1, 1, 3), "float32", white=0.1),
        np.ones((1, 1, 1, 3)),
    ),
    "features": (preprocessing.features(NUMBERS), {"features": NUMBERS}),
    "named": (preprocessing.features(NUMBERS, columns="ab"), [{"a": 1, "b": 1e-3}]),
    "gaps": (preprocessing.features(GAPS, missing=True), {"features": GAPS}),
    "a target": (preprocessing.features(NUMBERS[:, 0], name="y"), {"y": NUMBERS[:, 1]}),
    "a table": (table(), NEW),
    "codes": (table(one_hot=False, standardize=False), NEW),
    "arrays": (
        preprocessing.arrays(
            a=jax.ShapeDtypeStruct((2,), jnp.bfloat16), b=jax.ShapeDtypeStruct((), bool)
        ),
        {"a": NUMBERS, "b": np.arange(9) % 2},
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_files_keep_everything(kind, tmp_path):
    before, raw = KINDS[kind]
    to_files(before, tmp_path / "new" / "folder")
    after = from_files(tmp_path / "new" / "folder")
    assert (after.inputs, after.columns) == (before.inputs, before.columns)
    encoded, expected = encoder(after)(raw), encoder(before)(raw)
    batch, wanted = preprocessor(after)(encoded), preprocessor(before)(expected)
    for one, other in ((encoded, expected), (batch, wanted)):
        assert [*one] == [*other]
        for name in one:
            assert one[name].dtype == other[name].dtype
            np.testing.assert_array_equal(one[name], other[name])


def test_statistics_come_back_bit_for_bit(tmp_path):
    before = KINDS["features"][0]
    to_files(before, tmp_path)
    for name in ("mean", "std"):
        stored = from_files(tmp_path).encode[name]
        assert stored.tobytes() == before.encode[name].tobytes()


def test_files_are_replaced(tmp_path):
    for kind in ("features", "bytes"):
        to_files(KINDS[kind][0], tmp_path)
    assert from_files(tmp_path) == KINDS["bytes"][0]


def test_what_is_not_valid_is_not_written(tmp_path):
    wrong = KINDS["bytes"][0]._replace(preprocess={"name": "scales"})
    with pytest.raises(UserError, match=r"has no 'scales'\. Did you mean 'scale'"):
        to_files(wrong, tmp_path)
    assert not [*tmp_path.iterdir()]


# Hostile files.

IMAGE = {"image": {"shape": [2, 2, 1], "dtype": "uint8"}}
VALID = {
    "format": 1,
    "encode": {"name": "images", "white": 16},
    "preprocess": {"name": "scale", "factors": {"image": 0.0625}},
    "arrays": [],
    "inputs": IMAGE,
    "columns": [],
}
ENCODING = json.loads(json.dumps(KINDS["a table"][0].encode["encoding"]))


def encodes(name, **arguments):
    return {"encode": {"name": name, **arguments}}


def takes(shape, dtype="uint8"):
    return {"inputs": {"image": {"shape": shape, "dtype": dtype}}}


def table_with(**changes):
    return encodes("table", encoding={**ENCODING, **changes})


NONE_SUCH, AS_WRITTEN = "fdl.data.encoders has no", "expected a preprocessing, as fdl"
HOSTILE = {
    "another format": ({"format": 2}, "format=2: expected 1"),
    "no encoder": ({"encode": {}}, NONE_SUCH),
    "a private function": (encodes("_cast"), NONE_SUCH),
    "an imported function": (encodes("as_dtype"), NONE_SUCH),
    "a module": (encodes("np"), NONE_SUCH),
    "a dotted name": (encodes("np.load"), NONE_SUCH),
    "a list as a name": (encodes(["images"]), NONE_SUCH),
    "another module": ({"preprocess": {"name": "jnp"}}, "preprocessors has no 'jnp'"),
    "no mapping": ({"encode": 7}, AS_WRITTEN),
    "an unknown argument": (
        encodes("images", whites=1),
        "takes no 'whites'. Did you me",
    ),
    "no argument": (encodes("images"), "missing a required argument: 'white'"),
    "a text as a number": (
        encodes("images", white="1"),
        "white='1': expected a positive",
    ),
    "infinity": (
        encodes("images", white=float("inf")),
        "white=inf: expected a positive",
    ),
    "factors": (
        {"preprocess": {"name": "scale", "factors": [1]}},
        "expected a mapping",
    ),
    "a factor": (
        {"preprocess": {"name": "scale", "factors": {"image": None}}},
        "factors.image=None: expected a finite number",
    ),
    "no inputs": ({"inputs": {}}, "inputs: expected one array, got none"),
    "a list of inputs": ({"inputs": [IMAGE]}, AS_WRITTEN),
    "objects": (takes([1], "object"), AS_WRITTEN),
    "records": (takes([1], "i4,i4"), AS_WRITTEN),
    "text": (takes([1], "str"), AS_WRITTEN),
    "complex": (takes([1], "complex64"), AS_WRITTEN),
    "no dtype": (takes([1], "uint9"), AS_WRITTEN),
    "a dtype of a list": (takes([1], ["uint8"]), AS_WRITTEN),
    "a negative size": (takes([-1]), AS_WRITTEN),
    "a huge size": (takes([10**30]), AS_WRITTEN),
    "huge in all": (takes([10**6, 10**6]), AS_WRITTEN),
    "a fraction as a size": (takes([1.5]), AS_WRITTEN),
    "too many columns": ({"columns": ["a"]}, "columns: expected one name for each of"),
    "columns that are none": ({"columns": 3}, AS_WRITTEN),
    "arrays of no part": ({"arrays": ["other.mean"]}, AS_WRITTEN),
    "a number for an array": (
        encodes("features", mean=1, std=1),
        "mean: expected an array",
    ),
    "no encoding": (encodes("table", encoding=[]), "expected the content of `Encoding"),
    "no columns": (table_with(columns=[7]), "expected the content of `Encoding"),
    "a wrong argument": (table_with(column=1), "expected the content of `Encoding"),
    "a text as a flag": (table_with(one_hot="no"), "expected the content of `Encoding"),
    "numbers as classes": (
        table_with(classes=[0, 1]),
        "expected the content of `Encoding",
    ),
    "a zero": (
        table_with(columns=[{"name": "a", "mean": 0, "std": 0, "indicator": False}]),
        "expected the content of `Encoding",
    ),
    "other inputs": (
        table_with(),
        "encoding: expected one of the same inputs and columns",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_text_file_is_told_in_a_line(case, tmp_path):
    changes, message = HOSTILE[case]
    path = tmp_path / "preprocessing.json"
    path.write_text(json.dumps({**VALID, **changes}))
    assert message in refused(tmp_path)


def test_what_is_made_hostile_is_valid_otherwise(tmp_path):
    (tmp_path / "preprocessing.json").write_text(json.dumps(VALID))
    encoded = encoder(from_files(tmp_path))(np.ones((1, 2, 2, 1)))
    assert (encoded["image"] == 16).all()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\x80\x04.",
        b"[" * 10**5,
        b'{"format": 1',
        b"\xff\xfe",
        b"7" * 5000,
    ],
)
def test_a_damaged_text_file_is_told_in_a_line(content, tmp_path):
    (tmp_path / "preprocessing.json").write_bytes(content)
    assert "preprocessing.json is damaged: " in refused(tmp_path)


def test_a_text_file_may_be_missing_or_too_large(tmp_path):
    assert "preprocessing.json: No such file or directory" in refused(tmp_path)
    with (tmp_path / "preprocessing.json").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    assert "expected at most 67108864 bytes" in refused(tmp_path)


STATISTICS = {"encode.mean": np.zeros(2), "encode.std": np.ones(2)}
ARRAYS = {
    "no mean": ({"encode.std": np.ones(2)}, "'encode.mean': expected an array in"),
    "objects": (
        {**STATISTICS, "encode.mean": np.array([{}, {}])},
        "undamaged npz file",
    ),
    "a shape": (
        {**STATISTICS, "encode.mean": np.zeros(3)},
        "mean: expected an array [2]",
    ),
    "a zero": ({**STATISTICS, "encode.std": np.zeros(2)}, "std: expected positive"),
    "a gap": (
        {**STATISTICS, "encode.mean": np.full(2, np.nan)},
        "expected finite numbers",
    ),
    "text": (
        {**STATISTICS, "encode.mean": np.array(["a", "b"])},
        "finite numbers, float64",
    ),
    "half": ({**STATISTICS, "encode.std": np.ones(2, np.float16)}, "numbers, float64"),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_hostile_arrays_are_told_in_a_line(case, tmp_path):
    arrays, message = ARRAYS[case]
    to_files(KINDS["features"][0], tmp_path)
    np.savez(tmp_path / "preprocessing.npz", **arrays)
    assert message in refused(tmp_path)


def test_every_damage_of_the_arrays_is_told_in_a_line(tmp_path):
    to_files(KINDS["features"][0], tmp_path)
    path = tmp_path / "preprocessing.npz"
    content = path.read_bytes()
    # The content of arrays and names has a checksum; other bytes may mean nothing.
    for i in range(0, len(content), 11):
        path.write_bytes(content[:i])
        refused(tmp_path)
        path.write_bytes(content[:i] + bytes([content[i] ^ 0xFF]) + content[i + 1 :])
        try:
            mean = from_files(tmp_path).encode["mean"]
        except UserError as error:
            assert "\n" not in str(error)
        else:
            np.testing.assert_array_equal(mean, NUMBERS.mean(axis=0))


def test_arrays_that_unpack_to_too_much_are_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("fdl.data.preprocessing_files.MAX_BYTES", 2000)
    to_files(KINDS["features"][0], tmp_path)
    path = tmp_path / "preprocessing.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("encode.mean.npy", bytes(2001))
    assert path.stat().st_size < 200
    assert "expected to unpack to at most 2000 bytes, got 2001" in refused(tmp_path)


def refused(folder):
    """The one line in which a folder is refused."""
    with pytest.raises(UserError) as caught:
        from_files(folder)
    text = str(caught.value)
    assert "\n" not in text and str(folder) in text
    return text
