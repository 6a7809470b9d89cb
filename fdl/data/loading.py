"""Data sets by name."""

import functools
import os
import re
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from fdl.data import checksums, datasets
from fdl.data.sources import Source
from fdl.data.tfds_prepare import prepare
from fdl.data.tfds_read import read
from fdl.errors import UserError, near


def load(
    name: str,
    split: str,
    *,
    data_dir: str | os.PathLike | None = None,
    manual_dir: str | os.PathLike | None = None,
    max_bytes_in_memory: int = 2 << 30,
) -> Any:
    """Loads a split of a data set, and prepares it before if that was not done.

    fdl prepares the data sets of `fdl.data.datasets` itself. All others are read if
    TFDS has prepared them as array records: ``glue/cola`` names a configuration,
    ``cifar10:3.0.2`` a version. With a version, it is always that of TFDS.

    Features that are no numbers are left out, and 64 bits become 32, as on a device.

    Args:
      name: Name of the data set.
      split: In the language of TFDS, as in ``train`` or ``train[:90%]``.
      data_dir: Where data sets lie. Default: ``$TFDS_DATA_DIR``, or
        ``~/tensorflow_datasets``.
      manual_dir: Where files lie that were put there by hand, in a folder for each
        data set. Default: ``$FDL_MANUAL_DIR``, or ``<data_dir>/downloads/manual``.
      max_bytes_in_memory: What is larger, is not read into memory.

    Returns:
      A dict of arrays [N, ...], the very same ones each time, which must not be
      written to; or the random-access data source of TFDS where the data is large, or
      its examples differ in shape.

    Raises:
      UserError: There is no such data or split, or it is missing or damaged.
    """
    root = _folder(data_dir, "TFDS_DATA_DIR", Path("~/tensorflow_datasets"))
    manual = _folder(manual_dir, "FDL_MANUAL_DIR", root / "downloads" / "manual")
    source = _load(name, split, root, manual, max_bytes_in_memory)
    return dict(source) if isinstance(source, dict) else source


@functools.cache
def _load(name: str, split: str, root: Path, manual: Path, max_bytes: int) -> Source:
    folder, digest = _locate(name, root, manual, max_bytes)
    return read(folder, split, digest, max_bytes)


@functools.cache
def _locate(name: str, root: Path, manual: Path, max_bytes: int) -> tuple[Path, str]:
    """Where a data set lies, and the digest of its files, unless they are large."""
    if name in datasets.__all__:
        folder = prepare(name, getattr(datasets, name), root, manual)
        return folder, checksums.check(folder)
    folder = _prepared(name, root)
    if sum(path.stat().st_size for path in folder.iterdir()) > max_bytes:
        return folder, ""  # It would take long to read them all.
    return folder, checksums.of_all(checksums.of_files(folder))


def _prepared(name: str, root: Path) -> Path:
    """Where TFDS has prepared a data set, in its newest version."""
    path, _, wanted = name.partition(":")
    versions = {
        tuple(map(int, info.parent.name.split("."))): info.parent
        for info in (root / path).glob("*/dataset_info.json")
        if re.fullmatch(r"\d+\.\d+\.\d+", info.parent.name)
        and wanted in ("", info.parent.name)
    }
    if versions:
        return versions[max(versions)]
    import tensorflow_datasets as tfds

    # Without TensorFlow, TFDS does not even know all that it has.
    known = tfds.list_builders(with_community_datasets=False)
    there = path.partition("/")[0] in known
    hint = "" if there else f" {near(name, _names(name, root, known))}"
    raise UserError(
        f"There is no {name!r} in {root}.{hint} What TFDS has, has to be prepared "
        f"where TensorFlow is installed: tfds build {name} "
        f"--file_format=array_record --data_dir={root}"
    )


def _names(name: str, root: Path, known: list[str]) -> list[str]:
    """What there is, and what TFDS knows, of which only names that come close."""
    prepared = {
        str(info.relative_to(root).parents[1])
        for pattern in ("*/*/dataset_info.json", "*/*/*/dataset_info.json")
        for info in root.glob(pattern)
        if info.relative_to(root).parts[0] != "fdl"
    }
    close = get_close_matches(name, known, cutoff=0.7)
    return sorted({*datasets.__all__, *prepared, *close})


def _folder(given: str | os.PathLike | None, variable: str, default: Path) -> Path:
    path = Path(given or os.environ.get(variable) or default)
    return path.expanduser().absolute()
