"""IDX files are validated as they are read."""

import gzip
import struct
import tracemalloc

import numpy as np
import pytest

from fdl.data.datasets import idx
from fdl.errors import UserError

SIZES = {"train": 6, "test": 4}


def content(array):
    """An IDX file, as its description says."""
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}i", *array.shape)
    return header + array.tobytes()


def arrays():
    rng = np.random.default_rng(0)
    return {
        f"{prefix}-{kind}-ubyte.gz": rng.integers(10, size=shape, dtype=np.uint8)
        for prefix, size in (("train", 6), ("t10k", 4))
        for kind, shape in (("images-idx3", (size, 3, 3)), ("labels-idx1", (size,)))
    }


def paths_to(folder, files):
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return {name: folder / name for name in files}


def zipped(changes=None):
    files = {name: gzip.compress(content(array)) for name, array in arrays().items()}
    return {**files, **(changes or {})}


read = idx.read_images(SIZES, side=3)


def test_reading_returns_what_was_written(tmp_path):
    splits = read(paths_to(tmp_path, zipped()))
    for split, prefix in (("train", "train"), ("test", "t10k")):
        image, label = splits[split]["image"], splits[split]["label"]
        expected = arrays()[f"{prefix}-images-idx3-ubyte.gz"]
        np.testing.assert_array_equal(image[..., 0], expected)
        expected = arrays()[f"{prefix}-labels-idx1-ubyte.gz"]
        np.testing.assert_array_equal(label, expected)


LABELS = "train-labels-idx1-ubyte.gz"
IMAGES = "t10k-images-idx3-ubyte.gz"
WHOLE = zipped()
DAMAGE = {
    "truncated": (IMAGES, WHOLE[IMAGES][:-9], "damaged gzip file"),
    "empty": (IMAGES, b"", "expected an IDX file"),
    "no gzip": (IMAGES, b"<html>Not found</html>", "damaged gzip file"),
    "CRC": (
        IMAGES,
        WHOLE[IMAGES][:-8] + b"1234" + WHOLE[IMAGES][-4:],
        "damaged gzip file",
    ),
    "header only": (IMAGES, gzip.compress(b"\0\0\x08"), "expected an IDX file"),
    "magic": (IMAGES, WHOLE[LABELS], "expected an IDX file of bytes with 3"),
    "floats": (
        LABELS,
        gzip.compress(b"\0\0\x0d\x01" + struct.pack(">i", 6) + b"\0" * 24),
        "expected an IDX file of bytes",
    ),
    "size": (
        IMAGES,
        gzip.compress(content(np.zeros((4, 3, 2), np.uint8))),
        r"shape \(4, 3, 3\), got \(4, 3, 2\)",
    ),
    "fewer": (
        LABELS,
        gzip.compress(content(np.zeros(5, np.uint8))),
        r"shape \(6,\), got \(5,\)",
    ),
    "short": (
        LABELS,
        gzip.compress(content(np.zeros(6, np.uint8))[:-1]),
        "got 5",
    ),
    "long": (
        LABELS,
        gzip.compress(content(np.zeros(6, np.uint8)) + b"\0"),
        "expected 6 bytes of shape .*, got more",
    ),
    "label": (
        LABELS,
        gzip.compress(content(np.array([0, 1, 2, 3, 4, 10], np.uint8))),
        "labels below 10, got 10",
    ),
}


@pytest.mark.parametrize("name, data, message", DAMAGE.values(), ids=DAMAGE)
def test_damage_is_told(tmp_path, name, data, message):
    with pytest.raises(UserError, match=message) as error:
        read(paths_to(tmp_path, zipped({name: data})))
    assert name in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("header", [content(np.zeros(6, np.uint8)), b""])
def test_no_more_is_unpacked_than_is_expected(tmp_path, header):
    """A file of 64 KiB, of zeros, that unpacks to 64 MiB."""
    path = tmp_path / LABELS
    path.write_bytes(gzip.compress(header + bytes(64 << 20), compresslevel=9))
    tracemalloc.start()
    with pytest.raises(UserError, match=r"got more|expected an IDX file"):
        idx.read_idx(path, (6,))
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def test_every_flipped_byte_is_noticed_or_harmless(tmp_path):
    """A gzip file also holds a time, a system and padding, which do not matter."""
    expected = read(paths_to(tmp_path, WHOLE))["test"]["image"]
    for i in range(len(WHOLE[IMAGES])):
        data = bytearray(WHOLE[IMAGES])
        data[i] ^= 0x10
        try:
            actual = read(paths_to(tmp_path, zipped({IMAGES: bytes(data)})))
        except UserError:
            continue
        np.testing.assert_array_equal(actual["test"]["image"], expected)
