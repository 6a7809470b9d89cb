"""Safetensors files: read one array at a time, checked, and written in one stroke."""

import contextlib
import json
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from fdl.errors import UserError
from fdl.models.pretrained.report import listed, shown
from fdl.models.pretrained.rules import Numpy

DTYPES = {"F64", "F32", "F16", "BF16", "BOOL"} | {
    f"{kind}{bits}" for kind in "IU" for bits in (8, 16, 32, 64)
}
CODE = (".bin", ".ckpt", ".pkl", ".pt", ".pth", ".tar")


class Tensors(Mapping[str, Numpy]):
    """The arrays of a checkpoint by their names; each is read when it is asked for."""

    def __init__(self, path: pathlib.Path, files: Mapping[str, Any]):
        self._path = path
        self._files = files

    def __getitem__(self, name: str) -> Numpy:
        """Reads an array."""
        with _told(self._path):
            return self._files[name].get_tensor(name)

    def __iter__(self) -> Iterator[str]:
        """All names."""
        return iter(self._files)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._files)


@contextlib.contextmanager
def reading(path: str | os.PathLike[str]) -> Iterator[Tensors]:
    """Opens a checkpoint: a safetensors file, or the index of several.

    Args:
      path: The file, or ``model.safetensors.index.json`` with its files beside it.

    Raises:
      UserError: It is missing, damaged, or of another kind.
    """
    path = pathlib.Path(path)
    indexed = path.name.endswith(".index.json")
    tensors: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        for file, names in (_index(path) if indexed else {path: None}).items():
            opened = stack.enter_context(_opened(file))
            held = {*opened.keys()}
            names = held if names is None else names
            if names - held:
                raise UserError(
                    f"{path} names {listed(names - held, 3)}, not in {file}"
                )
            tensors |= dict.fromkeys(names, opened)
        yield Tensors(path, {name: tensors[name] for name in sorted(tensors)})


def write(
    path: str | os.PathLike[str], arrays: Mapping[str, Numpy], metadata: dict[str, str]
) -> None:
    """Writes a safetensors file, whole or not at all.

    Args:
      path: The file; one that is there is replaced.
      arrays: By their names.
      metadata: What else its header says.

    Raises:
      UserError: It cannot be written.
    """
    import numpy as np
    from safetensors.numpy import save_file

    path = pathlib.Path(path)
    if path.suffix != ".safetensors":
        raise UserError(f"{path}: weights are written to files named .safetensors")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    # What is not contiguous would be written in the order in which it lies in memory.
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    with _told(path, "cannot be written"):
        temporary.touch()
        try:
            mode = temporary.stat().st_mode
            save_file(arrays, temporary, metadata)
            temporary.chmod(mode)  # The library lets nobody else read what it writes.
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _opened(path: pathlib.Path) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    with _told(path):
        if not path.is_file():
            what = "a folder" if path.is_dir() else "no file"
            raise UserError(f"{path} is {what}, expected a .safetensors file")
        try:
            # A mapped file that somebody shortens meanwhile would end the process.
            file = safe_open(path, framework="np", backend="pread")
        except SafetensorError:
            _refuse_others(path)
            raise
    with file:
        for name, entry in _header(path).items():
            # What the library opens, and NumPy lacks.
            if entry["dtype"] not in DTYPES:
                raise UserError(
                    f"{path}: {shown(name)} is of dtype {entry['dtype']}, "
                    f"expected one of {', '.join(sorted(DTYPES))}"
                )
        yield file


def _refuse_others(path: pathlib.Path) -> None:
    """Says what to do with a file that is something else."""
    with path.open("rb") as file:
        start = file.read(16)
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
    """What a file that the library has opened says of its arrays."""

    def unique(pairs):
        entries = dict(pairs)
        if len(entries) < len(pairs):
            names = [name for name, _ in pairs]
            twice = [name for name in entries if names.count(name) > 1]
            raise UserError(f"{path} is damaged: it has two of {listed(twice, 3)}")
        return entries

    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length), object_pairs_hook=unique)
    header.pop("__metadata__", None)
    return header


def _index(path: pathlib.Path) -> dict[pathlib.Path, set[str]]:
    """The files that an index names, with the names of their arrays."""
    files: dict[pathlib.Path, set[str]] = {}
    with _told(path):
        if not path.is_file():
            raise UserError(f"{path} is no file")
        weight_map = json.loads(path.read_bytes())["weight_map"]
        for name, file in weight_map.items():
            files.setdefault(path.with_name(file), set()).add(name)
    return files


@contextlib.contextmanager
def _told(
    path: pathlib.Path, what: str = "is damaged or no safetensors file"
) -> Iterator[None]:
    """Turns what reading or writing a file raises into one line."""
    from safetensors import SafetensorError

    damage = (SafetensorError, ValueError, LookupError, TypeError, AttributeError)
    try:
        yield
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error
    except (*damage, RecursionError) as error:
        text = shown(" ".join(str(error).split()))
        raise UserError(f"{path} {what}: {text}") from error
