"""Files of one checkpoint, in a folder of its own, with SHA-256 digests of all."""

import contextlib
import json
import pathlib
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from fdl.data.checksums import read_verified, verify, write_checksums
from fdl.errors import DamageError, RunError, UserError, reason
from fdl.files import parse_object, sync
from fdl.models.pretrained.variables import load_variables, save_variables
from fdl.runs.directory import differences
from fdl.runs.format_number import check_format
from fdl.train.loop_state import LoopState
from fdl.trees import named_leaves
from fdl.types import PyTree, Variables

FORMAT = 1  # Of a checkpoint's files; counted up when they change.
METRICS = "metrics.json"
ARRAYS = "arrays.json"
VARIABLES = "variables.safetensors"


def write(
    folder: pathlib.Path,
    loop_state: LoopState,
    metrics: Mapping[str, Any] | None,
    variables: Variables | None,
) -> None:
    """Writes a checkpoint into a new folder, flushed to disk.

    Args:
      folder: Folder, which must not exist; the one above it has to.
      loop_state: State to save.
      metrics: Evaluation of it; None if there was none.
      variables: Variables of the model, to be read without the experiment, or None.

    Raises:
      Exception: It cannot be written; the folder may be there in part.
    """
    folder.mkdir()
    with _glob_safe(folder) as path, ocp.StandardCheckpointer() as orbax:
        orbax.save(path / "state", loop_state)
    if variables is not None:
        save_variables(folder / VARIABLES, jax.device_get(variables))
    # The folder is new, so that no link is in it, and all of it is flushed below.
    (folder / METRICS).write_text(json.dumps(_to_json(metrics)))
    content = {"format": FORMAT, "arrays": arrays(loop_state)}
    (folder / ARRAYS).write_text(json.dumps(content))
    write_checksums(folder, recursive=True)
    # Directories too: the names of files are part of them.
    for path in [*folder.rglob("*"), folder]:
        sync(path)


def read(folder: pathlib.Path, like: PyTree) -> LoopState:
    """Reads the loop state of a checkpoint.

    Args:
      folder: Folder of the checkpoint.
      like: Shapes, dtypes and shardings of the loop state.

    Raises:
      DamageError: A file of it is not as it was written.
      RunError: It cannot be read, or its arrays have other names, shapes or dtypes.
      UserError: It is of another version of fdl.
    """
    verify(folder, recursive=True)
    content = _object(folder, ARRAYS)
    check_format(folder, content.get("format"), FORMAT)
    written = content.get("arrays")
    if not isinstance(written, dict) or any(
        type(x) is not str for x in written.values()
    ):
        raise DamageError(folder, ARRAYS, "no dtypes and shapes")
    # Orbax casts silently to the dtypes of `like`, so these are compared first.
    for name, (here, there) in differences(arrays(like), written).items():
        raise RunError(
            f"checkpoint {folder} is not of this experiment: "
            f"{name} is {here}, there {there}"
        )
    try:
        with _glob_safe(folder) as path, ocp.StandardCheckpointer() as orbax:
            return orbax.restore(path / "state", like)
    except Exception as error:  # Orbax raises many types, with long messages.
        raise RunError(
            f"cannot restore checkpoint {folder}: {reason(error)}"
        ) from error


def read_variables(folder: pathlib.Path) -> Variables:
    """Variables of the model of a checkpoint, float [...] on the host.

    Raises:
      DamageError: The file is not as it was written.
      UserError: The checkpoint was saved without them.
    """
    if not (folder / VARIABLES).exists():
        raise UserError(f"{folder} has no {VARIABLES}: it was saved without")
    read_verified(folder, VARIABLES)
    return load_variables(folder / VARIABLES)


def read_metrics(folder: pathlib.Path) -> Mapping[str, Any] | None:
    """Evaluation of a checkpoint: numbers, or lists over seeds; None without one.

    Raises:
      DamageError: The file is not as it was written.
    """
    if read_verified(folder, METRICS) == b"null":
        return None
    return _object(folder, METRICS)


def arrays(tree: PyTree) -> dict[str, str]:
    """Dtype and shape of each array of a tree, by name."""
    return {
        name: f"{leaf.dtype}{list(leaf.shape)}"
        for name, leaf in named_leaves(tree).items()
    }


def _object(folder: pathlib.Path, name: str) -> dict[str, Any]:
    """Content of a JSON file of a checkpoint, which may come from elsewhere."""
    try:
        return parse_object(read_verified(folder, name))
    except ValueError as error:
        raise DamageError(folder, name, str(error)) from None


def _to_json(metrics: Mapping | None) -> dict[str, Any] | None:
    """Metrics as floats or lists, from numbers or arrays of NumPy or JAX."""
    if metrics is None:
        return None
    return {k: np.asarray(x, np.float64).tolist() for k, x in metrics.items()}


@contextlib.contextmanager
def _glob_safe(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """Path of a directory without glob characters: a link to it, where it has some."""
    # Orbax finds its own files by a glob of the full path, which would match others.
    absolute = folder.absolute()
    if not {*str(absolute)} & {*"*?[\\"}:
        yield absolute
        return
    with tempfile.TemporaryDirectory() as temporary:
        link = pathlib.Path(temporary) / "checkpoint"
        link.symlink_to(absolute, target_is_directory=True)
        yield link
