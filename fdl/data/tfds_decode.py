"""Decodes the examples of a prepared data set, and checks them."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from fdl.data.sources import examples, is_numeric, narrow
from fdl.errors import UserError

CHUNK = 4096  # Examples that are decoded at once.


def open_folder(folder: Path) -> Any:
    """Opens a prepared data set.

    Returns:
      The read-only builder of TFDS.

    Raises:
      UserError: It is in a format that only TensorFlow reads.
    """
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(folder)
    formats = {
        file_format.value for file_format in builder.info.available_file_formats()
    }
    if not formats & {"array_record", "parquet"}:
        raise UserError(
            f"{folder} is prepared as {', '.join(formats)}, which only TensorFlow "
            f"reads. Where that is installed, run: tfds build {builder.info.name} "
            f"--file_format=array_record --overwrite --data_dir={builder.data_dir_root}"
        )
    return builder


def decode(builder: Any, split: str) -> dict[str, np.ndarray]:
    """Decodes all examples of a split, and checks that they are what they should be.

    Raises:
      UserError: They cannot be read, or are not sound.
    """
    where = f"{builder.data_dir}, split {split!r}"
    try:
        source = builder.as_data_source(split)
        starts = range(0, len(source), CHUNK)
        rows = [range(i, min(i + CHUNK, len(source))) for i in starts]
        chunks = [examples(source, list(indices)) for indices in rows]
    except UserError:
        raise
    except Exception as error:  # Whatever TFDS meets in damaged files.
        cause = " ".join(str(error).split())[:200]
        raise UserError(
            f"{where}, cannot be read: {cause}. Prepare it again."
        ) from error
    arrays = {k: np.concatenate([chunk[k] for chunk in chunks]) for k in chunks[0]}
    validate(arrays, builder.info, split, where)
    return arrays


def validate(arrays: dict[str, np.ndarray], info: Any, split: str, where: str) -> None:
    """Compares arrays to what a data set says of itself.

    Raises:
      UserError: A length, shape, type, label or number is wrong.
    """
    size = info.splits[split].num_examples
    for name, (shape, dtype) in numeric(info).items():
        array = arrays[name]
        expected = (size, *shape), narrow(name, np.empty(0, dtype)).dtype
        if (array.shape, array.dtype) != expected:
            raise UserError(
                f"{where}: {name!r} is {array.dtype} {array.shape}, "
                f"but should be {expected[1]} {expected[0]}."
            )
        num_classes = getattr(info.features[name], "num_classes", None)
        if num_classes and not (array.min() >= 0 and array.max() < num_classes):
            raise UserError(
                f"{where}: {name!r} goes from {array.min()} to {array.max()}, "
                f"but there are {num_classes} classes."
            )
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            bad = int((~np.isfinite(array)).sum())
            raise UserError(f"{where}: {name!r} has {bad} numbers that are not finite.")


def numeric(info: Any) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Shape and type of each feature of numbers; text and nested ones are left out.

    Where the length of an axis differs between examples, it is None.
    """
    found = info.features.get_tensor_info().items()
    leaves = {k: (v.shape, v.np_dtype) for k, v in found if hasattr(v, "np_dtype")}
    return {k: v for k, v in sorted(leaves.items()) if is_numeric(v[1])}


def num_bytes(info: Any, split: str) -> float:
    """What a split takes in memory; infinite where shapes differ."""
    size = 0
    for shape, dtype in numeric(info).values():
        if None in shape:
            return math.inf
        size += math.prod(shape) * np.dtype(dtype).itemsize
    return size * info.splits[split].num_examples
