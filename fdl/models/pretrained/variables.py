"""Variables of any module in a safetensors file, without the module."""

import json
import os
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from fdl.errors import UserError, shown
from fdl.models.pretrained.rules import Numpy
from fdl.models.pretrained.safetensors_files import reading, write
from fdl.types import Variables

MAX_DEPTH = 64  # Of dicts inside each other; deeper ones could exhaust the stack.
EMPTY = "empty"  # Entry of the header: the paths of empty dicts, as a JSON list.
DTYPES = {"bool", "bfloat16", "float16", "float32", "float64"} | {
    f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)
}


def save_variables(path: str | os.PathLike[str], variables: Variables) -> None:
    """Saves variables to a safetensors file, atomically.

    `load_variables` restores them bit for bit, without the module that they belong to.
    Names are paths such as ``params/dense_0/kernel``; as in a JSON pointer, ``~1``
    stands for ``/`` in a key, and ``~0`` for ``~``. `fdl.models.load` reads the file as
    well, into a module that it is checked against.

    Args:
      path: Path of the file, with the suffix ``.safetensors``.
      variables: Flax's collections, nested dicts of arrays: of booleans, of integers of
        8 to 64 bits, or of floats of 16 to 64. Dicts may be empty.

    Raises:
      UserError: The variables are something else, or the file cannot be written.

    References:
      `JSON Pointer <https://www.rfc-editor.org/rfc/rfc6901>`_, RFC 6901, 2013.
    """
    if not isinstance(variables, Mapping):
        kind = type(variables).__name__
        raise UserError(f"variables is a {kind}: expected nested dicts of arrays")
    arrays: dict[str, Numpy] = {}
    empty: list[str] = []
    _flatten(variables, (), arrays, empty)
    metadata = {"format": "flax"} | ({EMPTY: json.dumps(empty)} if empty else {})
    write(path, arrays, metadata)


def load_variables(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Loads the variables that `save_variables` saved.

    Args:
      path: Path of the file.

    Returns:
      Nested dicts of NumPy arrays, which keep 64 bits where JAX has them disabled.

    Raises:
      UserError: The file cannot be read, or holds no nested dicts.
    """
    with reading(path) as tensors:
        variables: dict[str, Any] = {}
        for name in tensors:
            _insert(variables, name, tensors[name], path)
        for name in _empty(tensors.metadata.get(EMPTY, "[]"), path):
            _insert(variables, name, {}, path)
    return variables


def _flatten(
    node: Mapping[str, Any],
    parents: tuple[str, ...],
    arrays: dict[str, Numpy],
    empty: list[str],
) -> None:
    """Adds the arrays of a dict by their paths, and the paths of empty dicts."""
    if len(parents) > MAX_DEPTH:
        raise UserError(f"variables: expected at most {MAX_DEPTH} nested dicts")
    for key, value in node.items():
        if not isinstance(key, str):
            kind = type(key).__name__
            raise UserError(
                f"variables: the key {key!r} is a {kind}: expected a string"
            )
        keys = *parents, key.replace("~", "~0").replace("/", "~1")
        path = "/".join(keys)
        if isinstance(value, (np.ndarray, np.generic, jax.Array)):
            if str(value.dtype) not in DTYPES:
                raise UserError(
                    f"variables: {shown(path)} is of dtype {value.dtype}: expected one "
                    f"of {', '.join(sorted(DTYPES))}"
                )
            arrays[path] = np.asarray(value)
        elif not isinstance(value, Mapping):
            kind = type(value).__name__
            raise UserError(
                f"variables: {shown(path)} is a {kind}: expected an array or a dict"
            )
        elif value:
            _flatten(value, keys, arrays, empty)
        else:
            empty.append(path)


def _empty(text: str, path: Any) -> list[str]:
    """Paths of empty dicts in the header."""
    try:
        paths = json.loads(text)
    except (ValueError, RecursionError):
        paths = None
    if isinstance(paths, list) and all(isinstance(name, str) for name in paths):
        return paths
    raise UserError(f"{path} is damaged: {EMPTY} in its header is no list of paths")


def _insert(variables: dict[str, Any], name: str, value: Any, path: Any) -> None:
    """Puts a value at its place in nested dicts."""
    *parents, last = (
        key.replace("~1", "/").replace("~0", "~") for key in name.split("/")
    )
    node: Any = variables
    for key in parents[: MAX_DEPTH + 1]:
        node = node.setdefault(key, {}) if isinstance(node, dict) else None
    if len(parents) > MAX_DEPTH:
        raise UserError(f"{path}: expected at most {MAX_DEPTH} nested dicts")
    if not isinstance(node, dict) or last in node:
        raise UserError(f"{path} is damaged: {shown(name)} is both an array and a dict")
    node[last] = value
