"""Decoding and validation of prepared TFDS data sets."""

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fdl.data.sources import Records, examples, is_numeric, narrow
from fdl.errors import UserError, reason
from fdl.files import read_json

CHUNK = 4096  # Examples decoded at a time, before they are stacked to arrays.


def open_folder(folder: Path) -> Any:
    """Opens a prepared data set with TFDS.

    The folder may come from anywhere: no code in it is run, and no module is imported
    that its metadata names.

    Returns:
      Read-only builder of TFDS.

    Raises:
      UserError: The metadata is damaged, or names features that are not those of TFDS;
        or the files are in a format that only TensorFlow reads.
    """
    # Imported late: TFDS takes half a second.
    import tensorflow_datasets as tfds

    path = folder / "features.json"
    known = {
        f"{kind.__module__}.{kind.__name__}"
        for kind in vars(tfds.features).values()
        if isinstance(kind, type)
    }
    # TFDS would import the module of any other name.
    for name in _class_names(read_json(path)):
        if name not in known:
            raise UserError(f"{path}: expected features of TFDS, got {name!r:.100}")
    try:
        builder = tfds.builder_from_directory(folder)
    # TFDS and protobuf raise errors of many types for damaged metadata.
    except Exception as error:
        raise UserError(
            f"{folder}: cannot be read ({reason(error)}); prepare the data set again"
        ) from error
    formats = {
        file_format.value for file_format in builder.info.available_file_formats()
    }
    if not formats & {"array_record", "parquet"}:
        raise UserError(
            f"{folder}: expected array_record or parquet files, got "
            f"{', '.join(sorted(formats))}, which only TensorFlow reads; where it is "
            f"installed, run: tfds build {builder.info.name} "
            f"--file_format=array_record --overwrite --data_dir={builder.data_dir_root}"
        )
    return builder


def _class_names(content: Any) -> Iterator[str]:
    """Names of Python classes in the JSON of features, and in JSON within it."""
    left = [content]
    while left:
        value = left.pop()
        items = list(value.items()) if isinstance(value, dict) else []
        left += [inner for _, inner in items]
        left += value if isinstance(value, list) else []
        for key, inner in items:
            if not isinstance(inner, str):
                continue
            # Both spellings of protobuf, and that of older versions of TFDS.
            if key in ("pythonClassName", "python_class_name", "type"):
                yield inner
            if key in ("json", "content"):
                left.append(_parsed(inner))


def _parsed(text: str) -> Any:
    """Content of a text that may be JSON, or None."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def check_lengths(builder: Any, split: str) -> None:
    """Raises `UserError` if the files of a whole split have other numbers of examples.

    TFDS takes the numbers of the metadata, and leaves out what is beyond them.
    """
    # Imported late: grain takes more than a second.
    from grain.sources import ArrayRecordDataSource

    info = builder.info.splits[split]
    if builder.info.file_format.value != "array_record":
        return  # TFDS reads these as a whole, which `records` compares.
    for path, length in zip(info.filepaths, info.shard_lengths, strict=True):
        try:
            found = len(ArrayRecordDataSource([str(path)]))
        except Exception as error:
            raise UserError(
                f"{path}: cannot be read ({reason(error)}); prepare the data set again"
            ) from error
        if found != length:
            raise UserError(
                f"{path}: expected {length} examples, as in dataset_info.json, got "
                f"{found}; prepare the data set again"
            )


def records(builder: Any, split: str) -> Records:
    """Data source of TFDS of a split; `UserError` unless it has the declared length."""
    source = builder.as_data_source(split)
    expected = builder.info.splits[split].num_examples
    if len(source) != expected:
        raise UserError(
            f"{builder.data_dir}, split {split!r}: expected {expected} examples, as in "
            f"dataset_info.json, got {len(source)}"
        )
    return source


def decode(builder: Any, split: str) -> dict[str, np.ndarray]:
    """Decodes and validates all examples of a split.

    Args:
      builder: Read-only builder of TFDS.
      split: Split in the syntax of TFDS.

    Returns:
      Arrays [N, ...] by name of the feature.

    Raises:
      UserError: The examples cannot be read, or differ from the metadata.
    """
    where = f"{builder.data_dir}, split {split!r}"
    try:
        source = records(builder, split)
        starts = range(0, len(source), CHUNK)
        rows = [range(i, min(i + CHUNK, len(source))) for i in starts]
        names = texts(builder.info)
        chunks = [examples(source, list(indices), names) for indices in rows]
    # `examples` reports shapes that vary within a batch: its text stands as it is.
    except UserError:
        raise
    except Exception as error:
        # Readers of damaged files raise errors of many types, with texts of many lines.
        cause = " ".join(str(error).split())[:200]
        raise UserError(
            f"{where}: cannot be read ({cause}); prepare the data set again"
        ) from error
    arrays = {k: np.concatenate([chunk[k] for chunk in chunks]) for k in chunks[0]}
    validate(arrays, builder.info, split, where)
    return arrays


def validate(arrays: dict[str, np.ndarray], info: Any, split: str, where: str) -> None:
    """Validates arrays against the metadata of a data set.

    Args:
      arrays: Arrays [N, ...] by name of the feature.
      info: ``DatasetInfo`` of TFDS.
      split: Name of the split.
      where: Start of the error texts.

    Raises:
      UserError: A length, shape, dtype, label or number is wrong.
    """
    size = info.splits[split].num_examples
    for name in texts(info):
        if len(arrays[name]) != size:
            raise UserError(
                f"{where}, {name!r}: expected {size} texts, got {len(arrays[name])}"
            )
    for name, (shape, dtype) in numeric(info).items():
        array = arrays[name]
        # `examples` has narrowed 64-bit arrays, so the declared dtype is narrowed
        # alike.
        expected = (size, *shape), narrow(name, np.empty(0, dtype)).dtype
        if (array.shape, array.dtype) != expected:
            raise UserError(
                f"{where}, {name!r}: expected {expected[1]} {expected[0]}, "
                f"got {array.dtype} {array.shape}"
            )
        num_classes = getattr(info.features[name], "num_classes", None)
        if num_classes and not (array.min() >= 0 and array.max() < num_classes):
            raise UserError(
                f"{where}, {name!r}: expected labels from 0 to {num_classes - 1}, "
                f"got {array.min()} to {array.max()}"
            )
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            num_nonfinite = int((~np.isfinite(array)).sum())
            raise UserError(
                f"{where}, {name!r}: expected finite numbers, got {num_nonfinite} that "
                "are not"
            )


def texts(info: Any) -> list[str]:
    """Names of the features of text."""
    # Imported late: TFDS takes half a second.
    import tensorflow_datasets as tfds

    features = info.features.items()
    return sorted(k for k, x in features if isinstance(x, tfds.features.Text))


def numeric(info: Any) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Shapes and dtypes of the numeric features; others are left out.

    The size of an axis that varies between examples is None.
    """
    infos = info.features.get_tensor_info().items()
    # Nested features have a dict here, which lacks `np_dtype`.
    leaves = {k: (v.shape, v.np_dtype) for k, v in infos if hasattr(v, "np_dtype")}
    return {k: v for k, v in sorted(leaves.items()) if is_numeric(v[1])}


def num_bytes(info: Any, split: str) -> float:
    """Size of a split in memory, in bytes; infinite if shapes vary.

    It is an upper bound: 64-bit features count in full, though they are narrowed. Text
    is taken for four times as long as its files, which may be packed.
    """
    size = 0
    for shape, dtype in numeric(info).values():
        if None in shape:
            return math.inf
        size += math.prod(shape) * np.dtype(dtype).itemsize
    packed = 0.0
    if texts(info):
        parts = info.splits[split].file_instructions
        packed = sum(
            os.path.getsize(part.filename) * part.take / part.examples_in_shard
            for part in parts
        )
    return size * info.splits[split].num_examples + 4 * packed
