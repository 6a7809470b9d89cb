"""Reading of prepared data sets: into memory if they fit, else example by example."""

import functools
import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from fdl.data.checksums import verify_prepared, write_checksums
from fdl.data.sources import Source, is_text
from fdl.data.tfds_decode import check_lengths, decode, num_bytes, open_folder, records
from fdl.data.tfds_prepare import publish
from fdl.errors import UserError, near


def read(folder: Path, split: str, digest: str, max_bytes: int) -> Source:
    """Reads a split of a prepared data set.

    Args:
      folder: Folder of the data set, in the layout of TFDS.
      split: Split in the syntax of TFDS, as in ``train[:90%]``.
      digest: Digest of the files of the folder, under which decoded arrays are stored;
        empty to store none.
      max_bytes: Largest size of arrays in memory.

    Returns:
      Numeric features as read-only arrays [N, ...], and text as str objects [N]; or
      else the data source of TFDS.

    Raises:
      UserError: There is no such split, it cannot be read, or it is not valid.
    """
    # Stored arrays of a whole split are read without importing TFDS, which is slow. The
    # pattern keeps texts such as ``../train`` from becoming paths.
    if re.fullmatch(r"\w+", split) and _stored(folder, digest, split).is_dir():
        arrays = read_whole(folder, split, digest, max_bytes)
        if arrays is not None:
            return arrays
    builder = open_folder(folder)
    parts = _parts(builder, split)
    for name, _ in parts:
        check_lengths(builder, name)
    pieces = []
    for name, rows in parts:
        arrays = read_whole(folder, name, digest, max_bytes)
        if arrays is not None:
            pieces.append({k: v[rows] for k, v in arrays.items()})
    if len(pieces) == len(parts) == 1:
        return pieces[0]  # Views, which take no memory of their own.
    if len(pieces) == len(parts):
        return {k: _frozen(np.concatenate([p[k] for p in pieces])) for k in pieces[0]}
    # A part may fit although its whole split does not.
    if num_bytes(builder.info, split) <= max_bytes:
        return {k: _frozen(v) for k, v in decode(builder, split).items()}
    return records(builder, split)


@functools.cache
def read_whole(
    folder: Path, split: str, digest: str, max_bytes: int
) -> dict[str, np.ndarray] | None:
    """Reads a whole split into memory; None if it does not fit.

    Decoded arrays are stored beside the files, since reading them back is a hundred
    times as fast as decoding. They are stored anew when the files change.
    """
    stored = _stored(folder, digest, split)
    if stored.is_dir():
        verify_prepared(stored)
        paths = sorted([*stored.glob("*.npy"), *stored.glob("*.texts")])
        arrays = {path.stem: _loaded(path) for path in paths}
    else:
        builder = open_folder(folder)
        if num_bytes(builder.info, split) > max_bytes:
            return None
        arrays = decode(builder, split)
        if digest and os.access(folder, os.W_OK):
            _store(arrays, stored)
    # Arrays that were stored under a larger limit may exceed this one.
    fits = sum(map(_size, arrays.values())) <= max_bytes
    return {k: _frozen(v) for k, v in arrays.items()} if fits else None


def _parts(builder: Any, split: str) -> list[tuple[str, slice]]:
    """Slices of stored splits that make up a split in the syntax of TFDS."""
    # Imported late: TFDS takes half a second.
    import tensorflow_datasets as tfds

    splits = builder.info.splits
    try:
        instruction = tfds.core.ReadInstruction.from_spec(split)
        parts = instruction.to_absolute(splits)
    except (ValueError, AssertionError) as error:
        name = split.partition("[")[0]
        hint = "" if name in splits else f". {near(name, splits)}"
        raise UserError(
            f"split={split!r}: expected a split of {builder.name}{hint}"
        ) from error
    if not splits[split].num_examples:
        raise UserError(
            f"split={split!r}: expected at least one example of {builder.name}, got "
            "none"
        )
    return [(part.splitname, slice(part.from_, part.to)) for part in parts]


def _stored(folder: Path, digest: str, split: str) -> Path:
    """Folder of the decoded arrays of a split."""
    return folder / f"arrays-2-{digest[:16]}" / split  # The second layout: with text.


def _store(arrays: dict[str, np.ndarray], folder: Path) -> None:
    """Stores arrays in a folder, of which other processes see all or nothing."""
    folder.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".storing-", dir=folder.parent) as aside:
        unpublished = Path(aside) / "arrays"
        unpublished.mkdir()
        for name, array in arrays.items():
            if is_text(array):
                content = json.dumps(array.tolist())
                (unpublished / f"{name}.texts").write_text(content, encoding="utf-8")
            else:
                np.save(unpublished / f"{name}.npy", array)
        write_checksums(unpublished)
        publish(unpublished, folder)


def _loaded(path: Path) -> np.ndarray:
    """Array, or texts, that `_store` has stored."""
    if path.suffix == ".npy":
        return np.load(path)
    return np.array(json.loads(path.read_bytes()), object)


def _size(array: np.ndarray) -> int:
    """Size in memory, in bytes; of texts that of their characters."""
    return sum(map(len, array.flat)) if is_text(array) else array.nbytes


def _frozen(array: np.ndarray) -> np.ndarray:
    """Marks an array as read-only, because arrays are shared over the process."""
    array.flags.writeable = False
    return array
