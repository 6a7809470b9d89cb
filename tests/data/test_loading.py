"""Data sets are prepared once, read as they were written, and checked."""

import json
import os
import shutil
import subprocess
import sys
from itertools import islice
from pathlib import Path

import chex
import jax
import numpy as np
import pytest

import fdl.data
from fdl.data import checksums, tfds_prepare
from fdl.data.datasets.dataset import Dataset
from fdl.errors import UserError

ROOT = Path(__file__).parents[2]


def splits(num_train=20, num_test=5, **changes):
    return {
        split: {
            "x": np.arange(i, i + 3 * n, dtype=np.float32).reshape(n, 3),
            "label": np.arange(n, dtype=np.int64) % 4,
            **{name: array[:n] for name, array in changes.items()},
        }
        for i, (split, n) in enumerate([("train", num_train), ("test", num_test)])
    }


def dataset(num_classes=4, **changes):
    return Dataset(
        description="Numbers.",
        homepage="",
        read=lambda paths: splits(**changes),
        num_classes={"label": num_classes},
    )


def by_tfds(root, name="numbers", **changes):
    """What TFDS prepares: without digests, right below the root."""
    root.mkdir(exist_ok=True)
    return tfds_prepare.write(name, dataset(), splits(**changes), str(root))


def rewrite(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A prepared and decoded data set, to be copied and damaged."""
    root = tmp_path_factory.mktemp("digits")
    fdl.data.load("digits", "train", data_dir=root)
    fdl.data.load("digits", "test", data_dir=root)
    return root


def test_the_very_same_arrays_come_each_time(digits):
    first, again = (fdl.data.load("digits", "train", data_dir=digits) for _ in range(2))
    assert first.keys() == {"image", "label"}
    assert all(first[name] is again[name] for name in first)


def test_nobody_writes_to_what_is_shared(digits):
    first = fdl.data.load("digits", "train", data_dir=digits)
    with pytest.raises(ValueError, match="read-only"):
        first["label"][0] = 3
    first["label"] = None
    assert fdl.data.load("digits", "train", data_dir=digits)["label"] is not None


@pytest.mark.parametrize(
    "split, rows",
    [
        ("train[:90%]", slice(0, 1293)),
        ("train[90%:]", slice(1293, 1437)),
        ("train[-5:]", slice(1432, 1437)),
        ("train[10:12]", slice(10, 12)),
        ("train+test", slice(0, 1797)),
        ("all", slice(0, 1797)),
        ("test+train[:3]", [*range(1437, 1797), 0, 1, 2]),
    ],
)
def test_splits_are_those_of_tfds(digits, split, rows):
    parts = [fdl.data.load("digits", s, data_dir=digits) for s in ("train", "test")]
    whole = jax.tree.map(lambda *x: np.concatenate(x), *parts)
    actual = fdl.data.load("digits", split, data_dir=digits)
    chex.assert_trees_all_equal(actual, {k: v[rows] for k, v in whole.items()})
    assert not any(array.flags.writeable for array in actual.values())


@pytest.mark.parametrize(
    "split, message",
    [
        ("tran", "Did you mean 'train'"),
        ("tran[:5]", "Did you mean 'train'"),
        ("train[", "split='train\\[': expected a split"),
        ("train[:200%]", "expected a split"),
        ("train[5:5]", "at least one example"),
        ("", "split='': expected a split"),
        ("../train", "expected a split"),
    ],
)
def test_a_wrong_split_is_told(digits, split, message):
    with pytest.raises(UserError, match=message):
        fdl.data.load("digits", split, data_dir=digits)


@pytest.mark.parametrize(
    "name, message",
    [
        ("digit", "Did you mean 'digits'"),
        ("fashion_mnst", r"Did you mean 'fashion_mnist'\?"),
        ("cifar1O", "Did you mean 'cifar10'"),
        ("zzz", "There is: breast_cancer, diabetes, digits"),
        ("cifar10", "tfds build cifar10 --file_format=array_record"),
        ("glue/cola", "tfds build glue/cola --file_format=array_record"),
        ("numbers/x", "name='numbers/x': .* Did you mean 'numbers'"),
        ("numbers:2.0.0", "name='numbers:2.0.0'"),
        ("", "name=''"),
    ],
)
def test_a_wrong_name_is_told(tmp_path, name, message):
    by_tfds(tmp_path)
    with pytest.raises(UserError, match=message) as error:
        fdl.data.load(name, "train", data_dir=tmp_path)
    assert "\n" not in str(error.value)


DAMAGE = {
    "truncated": lambda path: os.truncate(path, path.stat().st_size // 2),
    "emptied": lambda path: os.truncate(path, 0),
    "removed": lambda path: path.unlink(),
    "flipped": lambda path: flip(path, min(200, path.stat().st_size // 2)),
}


def flip(path, i):
    content = bytearray(path.read_bytes())
    content[i] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize(
    "file",
    [
        "digits-train.array_record-00000-of-00001",
        "dataset_info.json",
        "features.json",
        "checksums.json",
        "arrays-*/train/image.npy",
        "arrays-*/train/checksums.json",
    ],
)
@pytest.mark.some(10)
def test_damage_is_told_and_mended(digits, tmp_path, file, damage):
    expected = fdl.data.load("digits", "train", data_dir=digits)
    root = tmp_path / "data"
    shutil.copytree(digits, root)
    (path,) = root.glob(f"fdl/digits/1.0.0/{file}")
    damage(path)
    with pytest.raises(UserError, match=r"missing|damaged") as error:
        fdl.data.load("digits", "train", data_dir=root)
    message = str(error.value)
    assert f"{path.parent} is damaged: {path.name}: " in message
    assert f"delete {path.parent}," in message
    shutil.rmtree(path.parent)
    actual = fdl.data.load("digits", "train", data_dir=root)
    chex.assert_trees_all_equal(actual, expected)


def test_what_was_killed_is_not_used(tmp_path, monkeypatch):
    class KilledError(BaseException):
        pass

    def killed(*_):
        raise KilledError

    for place, name in (
        (tfds_prepare, "write"),
        (tfds_prepare, "write_checksums"),
        (tfds_prepare, "publish"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(place, name, killed)
            with pytest.raises(KilledError):
                tfds_prepare.prepare("numbers", dataset(), tmp_path, tmp_path)
        assert not (tmp_path / "fdl" / "numbers" / "1.0.0").exists()
    folder = tfds_prepare.prepare("numbers", dataset(), tmp_path, tmp_path)
    assert len(checksums.combined(checksums.verify(folder))) == 64


def test_the_first_of_two_that_prepare_at_once_wins(tmp_path):
    made, folder = tmp_path / "made", tmp_path / "folder"
    for path in (made, folder):
        path.mkdir()
        (path / "file").write_text(path.name)
    tfds_prepare.publish(made, folder)
    assert (folder / "file").read_text() == "folder"


def test_what_tfds_left_incomplete_is_not_used(tmp_path):
    folder = by_tfds(tmp_path)
    folder.rename(folder.with_name("incomplete.ABC_1.0.0"))
    with pytest.raises(UserError, match="name='numbers'"):
        fdl.data.load("numbers", "train", data_dir=tmp_path)


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "fdl").write_text("a file")
    with pytest.raises(UserError, match="cannot be made"):
        fdl.data.load("iris", "train", data_dir=tmp_path)


def test_what_tfds_prepared_is_read(tmp_path):
    by_tfds(tmp_path)
    expected = splits()["test"]
    for split in ("test", "test[:100%]"):
        actual = fdl.data.load("numbers", split, data_dir=tmp_path)
        chex.assert_trees_all_equal(actual, expected)
    assert actual["label"].dtype == np.int32


def test_what_tfds_prepared_is_read_where_nothing_can_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    folder = by_tfds(tmp_path)
    actual = fdl.data.load("numbers", "train", data_dir=tmp_path)
    chex.assert_trees_all_equal(actual, splits()["train"])
    assert not list(folder.glob("arrays-*"))


def test_what_tfds_prepares_anew_is_read_anew(tmp_path):
    for num_train in (7, 8):
        made = by_tfds(tmp_path / "aside", num_train=num_train)
        shutil.copytree(made, tmp_path / "numbers" / "1.0.0", dirs_exist_ok=True)
        shutil.rmtree(made)
        # By another path, or else this process would remember.
        root = tmp_path / f"{num_train}"
        root.symlink_to(tmp_path)
        source = fdl.data.load("numbers", "train", data_dir=root)
        assert len(source["label"]) == num_train


@pytest.mark.parametrize("name", ["numbers/big", "numbers/big:1.0.0"])
def test_configurations_and_versions_are_found(tmp_path, name):
    for version, num_train in (("1.0.0", 7), ("1.10.0", 9), ("1.9.0", 8)):
        folder = by_tfds(tmp_path / "aside", num_train=num_train)
        target = tmp_path / "numbers" / "big" / version
        shutil.move(folder, target)
        rewrite(target / "dataset_info.json", '"1.0.0"', f'"{version}"')
    source = fdl.data.load(name, "train", data_dir=tmp_path)
    assert len(source["label"]) == (7 if ":" in name else 9)


def test_tfrecords_are_told_with_the_way_out(tmp_path):
    folder = by_tfds(tmp_path)
    rewrite(folder / "dataset_info.json", "array_record", "tfrecord")
    with pytest.raises(UserError, match="tfds build numbers --file_format") as error:
        fdl.data.load("numbers", "train", data_dir=tmp_path)
    assert f"--data_dir={tmp_path}" in str(error.value)


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damage_to_what_tfds_prepared_is_told(tmp_path, damage):
    (path,) = by_tfds(tmp_path).glob("*-train.array_record*")
    damage(path)
    with pytest.raises(UserError, match="cannot be read") as error:
        fdl.data.load("numbers", "train", data_dir=tmp_path)
    assert str(path.parent) in str(error.value)


WRONG = {
    "label": (
        "features.json",
        '"4"',
        '"3"',
        "'label': expected labels from 0 to 2, got 0 to 3",
    ),
    "shape": ("features.json", '"3"', '"1"', "'x'|cannot be read"),
    "type": ("features.json", "float32", "float64", "'x'|cannot be read"),
    "length": ("dataset_info.json", '"20"', '"21"', "train"),
}


@pytest.mark.parametrize("file, old, new, message", WRONG.values(), ids=WRONG)
def test_what_is_not_as_declared_is_told(tmp_path, file, old, new, message):
    rewrite(by_tfds(tmp_path) / file, old, new)
    with pytest.raises(UserError, match=message):
        fdl.data.load("numbers", "train", data_dir=tmp_path)


@pytest.mark.parametrize("split", ["train", "train[:3]", "all"])
@pytest.mark.parametrize("length", [4, 21])
def test_what_the_files_hold_is_compared_with_the_metadata(tmp_path, split, length):
    folder = by_tfds(tmp_path)
    rewrite(folder / "dataset_info.json", '"20"', f'"{length}"')
    message = f"array_record.*: expected {length} examples, .* got 20; prepare"
    for max_bytes in (1 << 20, 9):
        with pytest.raises(UserError, match=message):
            fdl.data.load(
                "numbers", split, data_dir=tmp_path, max_bytes_in_memory=max_bytes
            )


FEATURES = {
    "a class": ("tensorflow_datasets.core.features.tensor_feature.Tensor", "evil.Any"),
    "in a list": (
        '"features": {',
        '"features": {"z": [{"pythonClassName": "evil.A"}],',
    ),
    "spelt otherwise": (
        '"features": {',
        '"features": {"z": {"python_class_name": "evil.A"},',
    ),
    "of older versions": ('"features": {', '"features": {"z": {"type": "evil.A"},'),
    "in a text": (
        '"features": {',
        '"features": {"z": {"json": "{\\"type\\": \\"evil.A\\"}"},',
    ),
}


@pytest.mark.parametrize("case", FEATURES)
def test_no_module_is_imported_that_a_folder_names(tmp_path, case, monkeypatch):
    (tmp_path / "evil.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    rewrite(by_tfds(tmp_path) / "features.json", *FEATURES[case])
    with pytest.raises(UserError, match=r"expected features of TFDS, got 'evil\.A"):
        fdl.data.load("numbers", "train", data_dir=tmp_path)
    assert "evil" not in sys.modules


@pytest.mark.parametrize("file", ["dataset_info.json", "features.json"])
@pytest.mark.parametrize("content", ["", "[]", "{}", '{"name": 7}', "{" * 3])
def test_damaged_metadata_is_one_line(tmp_path, file, content):
    (by_tfds(tmp_path) / file).write_text(content)
    with pytest.raises(UserError) as error:
        fdl.data.load("numbers", "train", data_dir=tmp_path)
    assert str(tmp_path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_told(tmp_path, value):
    x = np.zeros((20, 3), np.float32)
    x[7, 1] = value
    by_tfds(tmp_path, x=x)
    with pytest.raises(UserError, match="'x': expected finite numbers, got 1 that"):
        fdl.data.load("numbers", "train", data_dir=tmp_path)
    assert len(fdl.data.load("numbers", "test", data_dir=tmp_path)["x"]) == 5


@pytest.mark.parametrize("shuffle", [True, False])
def test_large_data_comes_as_records_with_the_same_batches(digits, shuffle):
    arrays = fdl.data.load("digits", "train", data_dir=digits)
    records = fdl.data.load("digits", "train", data_dir=digits, max_bytes_in_memory=99)
    assert not isinstance(records, dict)
    assert len(records) == 1437
    expected = fdl.data.batches(arrays, 100, seed=3, shuffle=shuffle)
    actual = fdl.data.batches(records, 100, seed=3, shuffle=shuffle)
    data, stream = jax.device_put(expected.data), actual.stream(13)
    for item in islice(expected.stream(13), 4):
        taken, batch = expected.take(data, item), next(stream)
        chex.assert_trees_all_equal(taken, batch)
        chex.assert_trees_all_equal_dtypes(taken, batch)
    assert len(actual.fingerprint) == 64


def test_a_small_part_of_large_data_comes_as_arrays(tmp_path):
    by_tfds(tmp_path)
    options = {"data_dir": tmp_path, "max_bytes_in_memory": 99}
    part = fdl.data.load("numbers", "train[:3]", **options)
    chex.assert_trees_all_equal(part, {k: v[:3] for k, v in splits()["train"].items()})


def test_records_have_a_fingerprint_of_their_own(digits):
    sources = [
        fdl.data.load("digits", split, data_dir=digits, max_bytes_in_memory=99)
        for split in ("train", "test", "train[:50%]", "train")
    ]
    found = [fdl.data.fingerprint(source) for source in sources]
    assert len(set(found)) == 3
    assert found[0] == found[3]


PROGRAM = """
import sys
import fdl.data
heavy = {{"tensorflow", "tensorflow_datasets", "sklearn", "grain"}}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
fdl.data.load("digits", "train", data_dir="{root}")
assert ("tensorflow_datasets" in sys.modules) == {first}
records = fdl.data.load("digits", "train", data_dir="{root}", max_bytes_in_memory=9)
next(fdl.data.batches(records, 8).stream(0))
assert "tensorflow" not in sys.modules
"""


@pytest.mark.parametrize("first", [pytest.param(True, marks=pytest.mark.slow), False])
def test_tensorflow_is_never_imported_and_tfds_only_once(first, digits, tmp_path):
    program = PROGRAM.format(root=tmp_path if first else digits, first=first)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""  # TFDS prints, but results go there.


def test_what_was_prepared_is_a_data_set_of_tfds(digits):
    import tensorflow_datasets as tfds

    folder = digits / "fdl" / "digits" / "1.0.0"
    assert json.loads((folder / "dataset_info.json").read_text())["name"] == "digits"
    source = tfds.builder_from_directory(folder).as_data_source("test")
    arrays = fdl.data.load("digits", "test", data_dir=digits)
    for i in (0, 100, 359):
        np.testing.assert_array_equal(source[i]["image"], arrays["image"][i])
        assert source[i]["label"] == arrays["label"][i]
    assert "tensorflow" not in sys.modules
