"""Reads prepared data sets: into memory where they fit, or else example by example."""

import functools
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from fdl.data import checksums
from fdl.data.sources import Source
from fdl.data.tfds_decode import decode, num_bytes, open_folder
from fdl.data.tfds_prepare import publish
from fdl.errors import UserError, near


def read(folder: Path, split: str, digest: str, max_bytes: int) -> Source:
    """Reads a split of a prepared data set.

    Args:
      folder: Where it lies, as TFDS lays it out.
      split: In the language of TFDS, as in ``train[:90%]``.
      digest: Identifies the files of the folder, so that what is decoded can be
        stored; it is not if this is empty.
      max_bytes: What may be kept in memory.

    Returns:
      Its numbers as arrays [N, ...] that must not be written to, or else the data
      source of TFDS.

    Raises:
      UserError: There is no such split, or it cannot be read, or it is not sound.
    """
    if re.fullmatch(r"\w+", split) and _stored(folder, digest, split).is_dir():
        whole = read_whole(folder, split, digest, max_bytes)
        if whole is not None:
            return whole
    builder = open_folder(folder)
    parts = _parts(builder, split)
    pieces = []
    for name, rows in parts:
        whole = read_whole(folder, name, digest, max_bytes)
        if whole is not None:
            pieces.append({k: v[rows] for k, v in whole.items()})
    if len(pieces) == len(parts) == 1:
        return pieces[0]  # Views: part of a split takes no memory.
    if len(pieces) == len(parts):
        return {k: _frozen(np.concatenate([p[k] for p in pieces])) for k in pieces[0]}
    if num_bytes(builder.info, split) <= max_bytes:
        return {k: _frozen(v) for k, v in decode(builder, split).items()}
    return builder.as_data_source(split)


@functools.cache
def read_whole(
    folder: Path, split: str, digest: str, max_bytes: int
) -> dict[str, np.ndarray] | None:
    """Reads a whole split into memory, or returns None if it does not fit.

    What was decoded is stored beside the files, since decoding takes a hundred times
    as long as reading that; it is done anew if the files change.
    """
    stored = _stored(folder, digest, split)
    if stored.is_dir():
        checksums.check(stored)
        arrays = {path.stem: np.load(path) for path in sorted(stored.glob("*.npy"))}
    else:
        builder = open_folder(folder)
        if num_bytes(builder.info, split) > max_bytes:
            return None
        arrays = decode(builder, split)
        if digest and os.access(folder, os.W_OK):
            _store(arrays, stored)
    fits = sum(array.nbytes for array in arrays.values()) <= max_bytes
    return {k: _frozen(v) for k, v in arrays.items()} if fits else None


def _parts(builder: Any, split: str) -> list[tuple[str, slice]]:
    """Which rows of which splits make up a split."""
    import tensorflow_datasets as tfds

    splits = builder.info.splits
    try:
        instruction = tfds.core.ReadInstruction.from_spec(split)
        parts = instruction.to_absolute(splits)
    except (ValueError, AssertionError) as error:
        name = split.partition("[")[0]
        hint = "" if name in splits else f" {near(name, splits)}"
        raise UserError(
            f"There is no split {split!r} of {builder.name}.{hint}"
        ) from error
    if not splits[split].num_examples:
        raise UserError(f"The split {split!r} of {builder.name} is empty.")
    return [(part.splitname, slice(part.from_, part.to)) for part in parts]


def _stored(folder: Path, digest: str, split: str) -> Path:
    return folder / f"arrays-{digest[:16]}" / split


def _store(arrays: dict[str, np.ndarray], folder: Path) -> None:
    folder.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".storing-", dir=folder.parent) as aside:
        made = Path(aside) / "made"
        made.mkdir()
        for name, array in arrays.items():
            np.save(made / f"{name}.npy", array)
        checksums.write(made)
        publish(made, folder)


def _frozen(array: np.ndarray) -> np.ndarray:
    """Arrays are shared over the process, so nobody may write to them."""
    array.flags.writeable = False
    return array
