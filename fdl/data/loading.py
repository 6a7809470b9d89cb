"""Loading of data sets by name."""

import functools
import os
import re
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from fdl.data import datasets
from fdl.data.checksums import checksums_of, combined, verify_prepared
from fdl.data.sources import Source
from fdl.data.tfds_prepare import prepare
from fdl.data.tfds_read import read
from fdl.errors import UserError, near
from fdl.files import expanded


def load(
    name: str,
    split: str,
    *,
    data_dir: str | os.PathLike | None = None,
    manual_dir: str | os.PathLike | None = None,
    max_bytes_in_memory: int = 2 << 30,
) -> Any:
    """Loads a split of a data set, and prepares the data set first if necessary.

    The data sets of `fdl.data.datasets` are prepared by fdl. All others are read if
    TFDS has prepared them as array records: ``glue/cola`` names a configuration,
    ``cifar10:3.0.2`` a version. A name with a version is always one of TFDS.

    Text becomes arrays of str objects, which `batches` leaves out; other features that
    are not numeric are left out, and 64 bits are narrowed to 32, as on a device.

    Args:
      name: Name of the data set.
      split: Split in the syntax of TFDS, as in ``train`` or ``train[:90%]``.
      data_dir: Folder of the data sets. Default: ``$TFDS_DATA_DIR``, or
        ``~/tensorflow_datasets``.
      manual_dir: Folder of files provided by hand, with one folder per data set.
        Default: ``$FDL_MANUAL_DIR``, or ``<data_dir>/downloads/manual``.
      max_bytes_in_memory: Largest size of a split to read into memory, in bytes.

    Returns:
      Dict of read-only arrays [N, ...], the same objects in each call; or the
      random-access data source of TFDS, if the split is too large or its examples vary
      in shape.

    Raises:
      UserError: There is no such data set or split, or it is missing or damaged.
    """
    root = _folder(data_dir, "TFDS_DATA_DIR", Path("~/tensorflow_datasets"))
    manual = _folder(manual_dir, "FDL_MANUAL_DIR", root / "downloads" / "manual")
    source = _load(name, split, root, manual, max_bytes_in_memory)
    # A copy of the dict, so that callers cannot change the cached one.
    return dict(source) if isinstance(source, dict) else source


@functools.cache
def _load(name: str, split: str, root: Path, manual: Path, max_bytes: int) -> Source:
    folder, digest = _locate(name, root, manual, max_bytes)
    return read(folder, split, digest, max_bytes)


@functools.cache
def _locate(name: str, root: Path, manual: Path, max_bytes: int) -> tuple[Path, str]:
    """Folder of a data set, and the digest of its files; empty if they are large."""
    if name in datasets.__all__:
        folder = prepare(name, getattr(datasets, name), root, manual)
        return folder, combined(verify_prepared(folder))
    folder = _prepared(name, root)
    if sum(path.stat().st_size for path in folder.iterdir()) > max_bytes:
        return folder, ""  # Hashing them would take long.
    return folder, combined(checksums_of(folder))


def _prepared(name: str, root: Path) -> Path:
    """Folder of the newest version of a data set that TFDS has prepared."""
    path, _, version = name.partition(":")
    # Versions are compared as numbers: as texts, 1.9.0 would be newer than 1.10.0.
    versions = {
        tuple(map(int, info.parent.name.split("."))): info.parent
        for info in (root / path).glob("*/dataset_info.json")
        if re.fullmatch(r"\d+\.\d+\.\d+", info.parent.name)
        and version in ("", info.parent.name)
    }
    if versions:
        return versions[max(versions)]
    # Imported late: TFDS takes half a second.
    import tensorflow_datasets as tfds

    # TFDS lists only some of its data sets where TensorFlow is not installed, so a name
    # that it does not list may still be right.
    known = tfds.list_builders(with_community_datasets=False)
    listed = path.partition("/")[0] in known
    hint = "" if listed else f". {near(name, _names(name, root, known))}"
    raise UserError(
        f"name={name!r}: expected a data set of fdl, or one in {root} that was "
        f"prepared where TensorFlow is installed (tfds build {name} "
        f"--file_format=array_record --data_dir={root}){hint}"
    )


def _names(name: str, root: Path, known: list[str]) -> list[str]:
    """Names of prepared data sets, and similar ones of TFDS, as suggestions."""
    prepared = {
        str(info.relative_to(root).parents[1])
        for pattern in ("*/*/dataset_info.json", "*/*/*/dataset_info.json")
        for info in root.glob(pattern)
        # Those of fdl are in `datasets.__all__`, prepared or not.
        if info.relative_to(root).parts[0] != "fdl"
    }
    close = get_close_matches(name, known, cutoff=0.7)
    return sorted({*datasets.__all__, *prepared, *close})


def _folder(argument: str | os.PathLike | None, variable: str, default: Path) -> Path:
    """Absolute path: the argument, else the environment variable, else a default."""
    try:
        return expanded(argument or os.environ.get(variable) or default).absolute()
    except UserError as error:
        raise UserError(f"{error}; set {variable}") from None
