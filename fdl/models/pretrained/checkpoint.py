"""Loading and saving variables of modules as safetensors checkpoints."""

import dataclasses
import fnmatch
import functools
import os
import re
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from fdl.errors import UserError
from fdl.models.functional import functional
from fdl.models.layers.layer_stack import unstack_layers
from fdl.models.pretrained import formats
from fdl.models.pretrained.convert import (
    Resize,
    flatten,
    names_of,
    to_ours,
    to_theirs,
    unflatten,
)
from fdl.models.pretrained.report import Report, WeightsError, fault, listed
from fdl.models.pretrained.rules import Numpy, Rules
from fdl.models.pretrained.safetensors_files import reading, write
from fdl.types import Array, Key, Variables


def load(
    path: str | os.PathLike[str],
    into: nn.Module,
    *,
    allow: str | Sequence[str] = (),
    format: str | Rules | None = None,
    key: Key | None = None,
) -> tuple[Variables, Report]:
    """Loads the variables of a module from a safetensors checkpoint.

    Loading is strict: every array of the file has to match one of the module in shape,
    and conversely. Differences are errors unless they are allowed.

    Args:
      path: Path of the file, or of the ``.index.json`` of a sharded checkpoint.
      into: Module to load into. Its method ``checkpoints`` returns the formats that it
        supports, and its method ``example`` the shapes of its inputs; modules of the
        zoo have both.
      allow: Patterns of paths of variables, such as ``params/head/*``, or of names in
        the checkpoint, that may differ. Missing and mismatched variables are then
        initialised by the module, or resized where its method ``resizable`` has a
        function for them; unexpected arrays are ignored.
      format: Name of a format, or rules; the format with the most matches where None.
      key: Random key of initialised variables; ``jax.random.key(0)`` where None.

    Returns:
      Variables in the dtypes of the module, and a report of what was loaded.

    Raises:
      UserError: The file cannot be read.
      WeightsError: The checkpoint does not fit the module; its ``report`` has details.

    Example:
      >>> import pathlib, tempfile
      >>> from fdl import models
      >>> model = models.lenet5()
      >>> variables = models.functional(model).init(jax.random.key(0))
      >>> file = pathlib.Path(tempfile.mkdtemp()) / "lenet5.safetensors"
      >>> save(file, variables, of=model)
      >>> loaded, report = load(file, into=model)
      >>> len(report.matched), report.format
      (10, 'fdl')
    """
    patterns = [allow] if isinstance(allow, str) else [*allow]
    module = unrolled(into)

    def allowed(name):
        aliases = formats.aliases(name, rules, prefix) if patterns else ()
        return any(fnmatch.fnmatchcase(a, p) for a in aliases for p in patterns)

    with reading(path) as tensors:
        like = formats.shapes(module)
        label, rules, prefix = formats.found(format, module, like, tensors, path)
        # Each array goes to JAX before the next is read, and the largest ones first,
        # while the rest is not there: the model is never held twice.
        order = tensors.largest_first()
        shapes = flatten(like if module is into else formats.shapes(into))
        leaves, place = _placing(shapes)
        resize = _resize(module, allowed)
        arrays, report = to_ours(tensors, rules, like, resize, prefix, order, place)
    report = dataclasses.replace(
        report, source=os.fspath(path), format=label, prefix=prefix
    )
    refused = report.without(allowed)
    published = {
        path: next((prefix + name for name in names_of(path, rules)), path)
        for path in refused.missing[:3]
    }
    message = fault(refused, type(module).__name__, published)
    if message:
        raise WeightsError(message, report)
    missing = flatten(like).keys() - arrays.keys()
    initial = _initialised(module, missing, jax.random.key(0) if key is None else key)
    for path, array in initial.items():
        place(path, array)
    return unflatten({path: leaves[path] for path in shapes}), report


def save(
    path: str | os.PathLike[str],
    variables: Variables,
    of: nn.Module,
    *,
    format: str | Rules = "fdl",
) -> None:
    """Saves the variables of a module to a safetensors file, atomically.

    `load` restores them bit for bit.

    Args:
      path: Path of the file, with the suffix ``.safetensors``.
      variables: All variables of the module.
      of: Module that the variables belong to.
      format: ``"fdl"``, whose names are the paths of the variables; a format of the
        module's method ``checkpoints``, for other libraries; or rules.

    Raises:
      UserError: The variables do not fit the module, or the file cannot be written.
    """
    module, variables = checked(variables, of)
    label, rules = formats.named(format, formats.known(module, variables))
    try:
        arrays = flatten(variables) if label == "fdl" else to_theirs(variables, rules)
    except KeyError as error:
        raise UserError(f"format {label} has no name for {error.args[0]}") from error
    # Hugging Face transformers refuses files without this entry.
    write(path, arrays, {"format": "flax" if label == "fdl" else "pt"})


def checked(variables: Variables, of: nn.Module) -> tuple[nn.Module, Variables]:
    """Variables of a module as NumPy arrays, and the module, with unrolled layers.

    Args:
      variables: All variables of the module.
      of: Module.

    Raises:
      UserError: The variables do not fit the module.
    """
    leaves, expected = flatten(variables), flatten(formats.shapes(of))
    differing = sorted(leaves.keys() ^ expected.keys()) or [
        f"{path} {[*leaves[path].shape]}, expected {[*leaf.shape]}"
        for path, leaf in expected.items()
        if leaves[path].shape != leaf.shape
    ]
    if differing:
        name = type(of).__name__
        raise UserError(
            f"variables are not the variables of {name}: {listed(differing, 3)}"
        )
    module = unrolled(of)
    variables = jax.tree.map(np.asarray, variables)
    if module is not of:
        variables = unstack_layers(variables)
    return module, variables


def unrolled(module: nn.Module) -> nn.Module:
    """Copy of a module with all scanned layers unrolled; itself if there are none.

    Raises:
      UserError: The argument is no flax module.
    """
    if not isinstance(module, nn.Module):
        raise UserError(f"module is a {type(module).__name__}: expected a flax module")
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(module):
        value = getattr(module, field.name, None)
        if field.name == "scan_layers" and value:
            changes["scan_layers"] = False
        elif field.name != "parent" and isinstance(value, nn.Module):
            inner = unrolled(value)
            if inner is not value:
                changes[field.name] = inner
    return module.clone(**changes) if changes else module


def _resize(module: nn.Module, allowed: Callable[[str], bool]) -> Resize:
    resizable: Mapping[str, Any] = getattr(module, "resizable", dict)()

    def resize(path, array, shape):
        for pattern, function in resizable.items():
            if fnmatch.fnmatchcase(path, pattern) and allowed(path):
                try:
                    return function(array, shape)
                except ValueError as error:
                    raise UserError(f"{path} cannot be resized: {error}") from error
        return None

    return resize


def _initialised(module: nn.Module, paths: Set[str], key: Key) -> dict[str, Numpy]:
    """Initial values of a module at some paths."""

    # Compiled, so that XLA removes the initialisation of all other leaves.
    def init(key):
        leaves = flatten(functional(module).init(key))
        return {path: leaf for path, leaf in leaves.items() if path in paths}

    return jax.tree.map(np.asarray, jax.jit(init)(key)) if paths else {}


class _Layer(NamedTuple):
    """Array of one layer among those of a stack."""

    leaves: Mapping[str, Any]
    path: str
    number: int

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Numpy:
        return np.asarray(self.leaves[self.path][self.number], dtype)


def _placing(
    shapes: Mapping[str, Any],
) -> tuple[dict[str, Any], Callable[[str, Numpy], Any]]:
    """Leaves of a module, empty at first, and the function that puts an array there.

    Checkpoints are unrolled: an array of ``layers_0``, ``layers_1``, ... is written
    into its place among the layers that the module scans.
    """
    leaves: dict[str, Any] = {}

    def place(path, array):
        if path in shapes:
            leaves[path] = jnp.asarray(array)
            return leaves[path]
        prefix, number, suffix = re.split(r"\blayers_(\d+)\b", path, maxsplit=1)
        path = f"{prefix}layers{suffix}"
        if path not in leaves:
            leaves[path] = jnp.zeros(shapes[path].shape, shapes[path].dtype)
        leaves[path] = _with_layer(leaves[path], array, int(number))
        return _Layer(leaves, path, int(number))

    return leaves, place


@functools.partial(jax.jit, donate_argnums=0)
def _with_layer(stack: Array, layer: Array, number: int) -> Array:
    """Stack of layers with one of them replaced, in place."""
    return stack.at[number].set(layer)
