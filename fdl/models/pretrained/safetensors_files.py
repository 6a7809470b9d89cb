"""Safetensors files: lazy validated reading and atomic writing."""

import contextlib
import json
import math
import os
import pathlib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from fdl.errors import UserError, shown
from fdl.files import read_json, replacing
from fdl.models.pretrained.report import listed
from fdl.models.pretrained.rules import Numpy

# The dtypes of safetensors that NumPy, with ml_dtypes' bfloat16, can hold.
DTYPES = {"F64", "F32", "F16", "BF16", "BOOL"} | {
    f"{kind}{bits}" for kind in "IU" for bits in (8, 16, 32, 64)
}
# Suffixes of pickles, which run code when they are read.
CODE = (".bin", ".ckpt", ".pkl", ".pt", ".pth", ".tar")


class Tensors(Mapping[str, Numpy]):
    """Lazy mapping of a checkpoint's arrays by name; reads an array on access.

    Attributes:
      metadata: Texts in the headers, by name.
    """

    def __init__(
        self, path: pathlib.Path, files: Mapping[str, Any], metadata: dict[str, str]
    ):
        self._path = path
        self._files = files
        self.metadata = metadata

    def __getitem__(self, name: str) -> Numpy:
        """Reads the array of this name."""
        with _one_line_errors(self._path):
            return self._files[name].get_tensor(name)

    def __iter__(self) -> Iterator[str]:
        """Iterates over the names."""
        return iter(self._files)

    def __len__(self) -> int:
        """Number of arrays."""
        return len(self._files)

    def largest_first(self) -> list[str]:
        """Names by the number of elements, the most first."""
        shapes = {name: self._files[name].get_slice(name).get_shape() for name in self}
        return sorted(self, key=lambda name: -math.prod(shapes[name]))


@contextlib.contextmanager
def reading(path: str | os.PathLike[str]) -> Iterator[Tensors]:
    """Opens a checkpoint: a safetensors file, or the index of a sharded checkpoint.

    Args:
      path: Path of the file, or of ``model.safetensors.index.json`` next to its shards.

    Yields:
      The arrays by name.

    Raises:
      UserError: A file is missing, damaged, or not a safetensors file.
    """
    path = pathlib.Path(path)
    indexed = path.name.endswith(".index.json")
    tensors: dict[str, Any] = {}
    metadata: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        for file, names in (_index(path) if indexed else {path: None}).items():
            shard = stack.enter_context(_open(file))
            stored = {*shard.keys()}
            names = stored if names is None else names
            if names - stored:
                raise UserError(
                    f"{path} names {listed(names - stored, 3)}, not in {file}"
                )
            tensors |= dict.fromkeys(names, shard)
            metadata |= shard.metadata() or {}
        ordered = {name: tensors[name] for name in sorted(tensors)}
        yield Tensors(path, ordered, metadata)


def write(
    path: str | os.PathLike[str], arrays: Mapping[str, Numpy], metadata: dict[str, str]
) -> None:
    """Writes a safetensors file atomically.

    Args:
      path: Path of the file; an existing file is replaced.
      arrays: Arrays by their names.
      metadata: Further entries of the header.

    Raises:
      UserError: The file cannot be written.
    """
    # Imported late: models need jax and flax alone.
    import numpy as np
    from safetensors.numpy import save_file

    path = pathlib.Path(path)
    if path.suffix != ".safetensors":
        raise UserError(f"path={os.fspath(path)}: expected the suffix .safetensors")
    # The library writes the memory of an array as it lies there, also if transposed.
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    with _one_line_errors(path, "cannot be written"), replacing(path) as part:
        mode = part.stat().st_mode
        save_file(arrays, part, metadata)
        # The library makes a file that only its owner can read.
        part.chmod(mode)


@contextlib.contextmanager
def _open(path: pathlib.Path) -> Iterator[Any]:
    # Imported late: models need jax and flax alone.
    from safetensors import SafetensorError, safe_open

    with _one_line_errors(path):
        if not path.is_file():
            kind = "a folder" if path.is_dir() else "no file"
            raise UserError(f"{path} is {kind}: expected a .safetensors file")
        try:
            # A memory-mapped file that is truncated meanwhile would kill the process.
            file = safe_open(path, framework="np", backend="pread")
        except SafetensorError:
            _check_other_formats(path)
            raise
    with file:
        for name, entry in _header(path).items():
            # The library opens files of dtypes that NumPy lacks, such as float8.
            if entry["dtype"] not in DTYPES:
                raise UserError(
                    f"{path}: {shown(name)} is of dtype {entry['dtype']}: "
                    f"expected one of {', '.join(sorted(DTYPES))}"
                )
        yield file


def _check_other_formats(path: pathlib.Path) -> None:
    """Raises an error with advice for pickles and Git LFS pointers."""
    with path.open("rb") as file:
        start = file.read(16)
    # Pickles begin with 0x80, their protocol and an opcode. The length of a safetensors
    # header may begin with the same two bytes, but below 64 KiB a zero follows.
    pickled = start[:1] == b"\x80" and start[1:2] <= b"\5" and start[2:3] > b"\0"
    if path.suffix in CODE or start.startswith(b"PK\3\4") or pickled:
        raise UserError(
            f"{path} is a file of Python objects, which can run code when it is read: "
            "take the .safetensors file of the same model, or convert it, with "
            "torch.load(path, weights_only=True) and safetensors.torch.save_file"
        )
    if start.startswith(b"version https://"):
        raise UserError(
            f"{path} only points to the weights: fetch them by git lfs pull"
        )


def _header(path: pathlib.Path) -> dict[str, Any]:
    """Header of a file that the library has validated: its entries by name."""

    # Of two entries of one name, a JSON parser silently takes the last.
    def unique(pairs):
        entries = dict(pairs)
        if len(entries) < len(pairs):
            counts = Counter(name for name, _ in pairs)
            duplicates = [name for name in counts if counts[name] > 1]
            raise UserError(
                f"{path} is damaged: it has several arrays named "
                f"{listed(duplicates, 3)}"
            )
        return entries

    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length), object_pairs_hook=unique)
    header.pop("__metadata__", None)
    return header


def _index(path: pathlib.Path) -> dict[pathlib.Path, set[str]]:
    """Files of a sharded checkpoint, with the names of their arrays."""
    files: dict[pathlib.Path, set[str]] = {}
    with _one_line_errors(path):
        weight_map = read_json(path)["weight_map"]
        for name, file in weight_map.items():
            # `with_name` refuses paths, so that an index cannot name files elsewhere.
            files.setdefault(path.with_name(file), set()).add(name)
    return files


@contextlib.contextmanager
def _one_line_errors(
    path: pathlib.Path, failure: str = "is damaged or no safetensors file"
) -> Iterator[None]:
    """Turns exceptions of reading or writing a file into a `UserError` of one line."""
    # Imported late: models need jax and flax alone.
    from safetensors import SafetensorError

    # The library and the JSON parser raise any of these for malformed headers.
    damage = (SafetensorError, ValueError, LookupError, TypeError, AttributeError)
    try:
        yield
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error
    except (*damage, RecursionError) as error:
        text = shown(" ".join(str(error).split()))
        raise UserError(f"{path} {failure}: {text}") from error
