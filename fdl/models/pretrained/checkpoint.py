"""Variables from published weights, and back."""

import dataclasses
import fnmatch
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Any

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
from fdl.types import Key, Variables


def load(
    path: str | os.PathLike[str],
    into: nn.Module,
    *,
    allow: str | Sequence[str] = (),
    format: str | Rules | None = None,
    key: Key | None = None,
) -> tuple[Variables, Report]:
    """Reads the variables of a module from a safetensors file.

    Every array of the file has to go somewhere, and every array of the module has to
    come from there, in its shape; all else is an error that says what differs.

    Args:
      path: The file, or the ``.index.json`` of several.
      into: The module. Its method ``checkpoints`` has the formats that it knows, its
        method ``example`` the inputs by which it is shaped; one of the zoo has both.
      allow: Patterns of what may differ: paths of ours, such as ``params/head/*``, or
        names of theirs. What is missing or has another shape is then what the module
        initialises, or is resized if the module says how, in its method ``resizable``;
        what is left over is left out.
      format: A name, or rules of one's own; by default what most names fit.
      key: Of what is initialised; always the same by default.

    Returns:
      The variables, in the dtypes of the module, and what became of the file.

    Raises:
      UserError: The file cannot be read, or does not fit. Then it is a `WeightsError`,
        with the report as its ``report``.

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
        aliases = formats.aliases(name, rules) if patterns else ()
        return any(fnmatch.fnmatchcase(a, p) for a in aliases for p in patterns)

    with reading(path) as tensors:
        like = formats.shapes(module)
        label, rules = formats.found(format, module, like, tensors, path)
        arrays, report = to_ours(tensors, rules, like, _resize(module, allowed))
    report = dataclasses.replace(report, source=os.fspath(path), format=label)
    refused = report.without(allowed)
    called = {p: [*names_of(p, rules), p][0] for p in refused.missing[:3]}
    message = fault(refused, type(module).__name__, called)
    if message:
        raise WeightsError(message, report)
    fresh = flatten(like).keys() - arrays.keys()
    arrays |= _initialised(module, fresh, jax.random.key(0) if key is None else key)
    paths = flatten(like if module is into else formats.shapes(into))
    _stack(arrays, paths)
    # One at a time: never twice the model.
    return unflatten({path: jnp.asarray(arrays.pop(path)) for path in paths}), report


def save(
    path: str | os.PathLike[str],
    variables: Variables,
    of: nn.Module,
    *,
    format: str | Rules = "fdl",
) -> None:
    """Writes the variables of a module to a safetensors file, whole or not at all.

    What is written is what `load` reads, to the last bit.

    Args:
      path: The file, named ``.safetensors``.
      variables: All that the module has.
      of: The module.
      format: ``"fdl"``, which names our paths; one of its method ``checkpoints``, for
        others to read; or rules of one's own.

    Raises:
      UserError: The variables are not the module's, or the file cannot be written.
    """
    ours, expected = flatten(variables), flatten(formats.shapes(of))
    differing = sorted(ours.keys() ^ expected.keys()) or [
        f"{path} {[*ours[path].shape]}, expected {[*leaf.shape]}"
        for path, leaf in expected.items()
        if ours[path].shape != leaf.shape
    ]
    if differing:
        name = type(of).__name__
        raise UserError(
            f"these are not the variables of {name}: {listed(differing, 3)}"
        )
    module = unrolled(of)
    variables = jax.tree.map(np.asarray, variables)
    if module is not of:
        variables = unstack_layers(variables)
    label, rules = formats.named(format, formats.known(module, variables))
    try:
        arrays = flatten(variables) if label == "fdl" else to_theirs(variables, rules)
    except KeyError as error:
        raise UserError(f"format {label} has no name for {error.args[0]}") from error
    # What transformers asks for.
    write(path, arrays, {"format": "flax" if label == "fdl" else "pt"})


def unrolled(module: nn.Module) -> nn.Module:
    """The same module, in which no layers are scanned; itself if there are none.

    Raises:
      UserError: It is no module.
    """
    if not isinstance(module, nn.Module):
        raise UserError(f"this is a {type(module).__name__}, expected a flax module")
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
    """What a module initialises at some paths; the rest is never computed."""

    def init(key):
        leaves = flatten(functional(module).init(key))
        return {path: leaf for path, leaf in leaves.items() if path in paths}

    return jax.tree.map(np.asarray, jax.jit(init)(key)) if paths else {}


def _stack(arrays: dict[str, Numpy], paths: Iterable[str]) -> None:
    """Joins, in place, the arrays of ``layers_0``, ... where there is one for all."""
    layers: dict[str, dict[int, str]] = {}
    for path in arrays.keys() - {*paths}:
        start, number, rest = re.split(r"\blayers_(\d+)\b", path, maxsplit=1)
        layers.setdefault(f"{start}layers{rest}", {})[int(number)] = path
    for path, parts in layers.items():
        arrays[path] = np.stack([arrays.pop(parts[i]) for i in sorted(parts)])
