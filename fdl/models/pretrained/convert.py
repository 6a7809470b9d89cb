"""Conversion between arrays of a checkpoint and variables of a module."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from fdl.models.pretrained.report import Report
from fdl.models.pretrained.rules import (
    Numpy,
    Rule,
    Rules,
    any_pattern,
    fill,
    matches,
)
from fdl.trees import named_leaves
from fdl.types import PyTree, Variables

# Called as `resize(path, array, shape)`; returns None where resizing is not allowed.
Resize = Callable[[str, Numpy, tuple[int, ...]], Numpy | None]


def to_ours(
    tensors: Mapping[str, Any],
    rules: Rules,
    like: Variables,
    resize: Resize = lambda path, array, shape: None,
    prefix: str = "",
    order: Iterable[str] | None = None,
    place: Callable[[str, Numpy], Any] = lambda path, array: array,
) -> tuple[dict[str, Any], Report]:
    """Converts arrays of a checkpoint to leaves of variables.

    Args:
      tensors: Arrays by their names in the checkpoint, read one at a time.
      rules: Conversion rules of the format.
      like: Variables of the module, or their shapes and dtypes.
      resize: Resizes an array of another shape; returns None where that is not allowed.
      prefix: Start of the names in the checkpoint that the rules do not have.
      order: All names in the order in which they are read; that of `tensors` where
        None.
      place: Function of the path and the array of each leaf, such as a copy to the
        device; what it returns is kept in place of the array.

    Returns:
      Arrays by path in the variables, cast to their dtypes, and a report.
    """
    leaves, report = flatten(like), Report()
    arrays: dict[str, Any] = {}
    matched = stand_for((name.removeprefix(prefix) for name in tensors), rules)
    for name in tensors:
        rule, paths = matched.get(name.removeprefix(prefix), (None, []))
        if rule is None or not all(path in leaves for path in paths):
            report.unexpected.append(name)
    for name in tensors if order is None else order:
        rule, paths = matched.get(name.removeprefix(prefix), (None, []))
        if rule is None or not any(path in leaves for path in paths):
            continue
        parts = _parts(np.asarray(tensors[name]), rule)
        for path, part in zip(paths, parts, strict=True):
            if path not in leaves:
                continue
            array = _fitted(path, part, leaves[path], resize, report)
            if array is None:
                continue
            if path not in arrays:
                arrays[path] = place(path, array)
                report.matched.append(path)
            # Checkpoints hold tied weights under two names, which have to agree.
            elif not np.array_equal(np.asarray(arrays[path]), array, equal_nan=True):
                report.conflicting.append((name, path))
    if order is not None:
        for rows in (report.matched, report.mismatched, report.cast, report.resized):
            rows.sort()
    present = {*arrays, *(path for path, *_ in report.mismatched)}
    report.missing.extend(path for path in leaves if path not in present)
    return arrays, report


def to_theirs(variables: Variables, rules: Rules) -> dict[str, Numpy]:
    """Converts variables to arrays of a checkpoint; inverse of `to_ours`.

    Args:
      variables: Variables of a module.
      rules: Conversion rules of the format.

    Returns:
      Arrays by their names in the checkpoint.

    Raises:
      KeyError: No rule covers a path, or a part of a fused array is missing.
    """
    leaves = flatten(variables)
    names = their_names(leaves, rules)
    return {name: fused(leaves, *found) for name, found in names.items()}


def their_names(
    paths: Iterable[str], rules: Rules, *, copies: bool = True
) -> dict[str, tuple[Rule, list[str]]]:
    """Rule of each name in a checkpoint of some variables, and their paths.

    Args:
      paths: Paths of the variables.
      rules: Conversion rules of the format.
      copies: Whether an array with several names, as a tied one, has them all, or else
        the first.

    Raises:
      KeyError: No rule covers a path.
    """
    found: dict[str, tuple[Rule, list[str]]] = {}
    for path in paths:
        names = [*names_of(path, rules).items()]
        if not names:
            raise KeyError(path)
        found |= dict(names if copies else names[:1])
    return found


def fused(leaves: Mapping[str, Any], rule: Rule, paths: Sequence[str]) -> Numpy:
    """Array of a checkpoint that holds the leaves at some paths.

    Raises:
      KeyError: One of them is missing.
    """
    parts = [rule.layout.to_theirs(np.asarray(leaves[path])) for path in paths]
    return np.concatenate(parts, rule.axis) if len(parts) > 1 else parts[0]


def stand_for(names: Iterable[str], rules: Rules) -> dict[str, tuple[Rule, list[str]]]:
    """First matching rule of each name in a checkpoint, and paths in the variables.

    Args:
      names: Names of arrays in a checkpoint.
      rules: Conversion rules of the format.

    Returns:
      Rule and paths by name; names that no rule matches are left out.
    """
    # Exact names are looked up, and those that match no rule take a single search: only
    # rules with placeholders are tried on the others.
    exact: dict[str, int] = {}
    patterns = []
    for i, rule in enumerate(rules):
        if {*"{["} & {*rule.theirs}:
            patterns.append((i, rule))
        else:
            exact.setdefault(rule.theirs, i)
    matches_any = any_pattern(rule.theirs for _, rule in patterns).fullmatch
    matched = {}
    for name in names:
        if name not in exact and not matches_any(name):
            continue
        last = exact.get(name, len(rules))
        if name in exact:
            matched[name] = rules[last], [*rules[last].paths]
        # An earlier pattern has precedence over an exact name.
        for i, rule in patterns:
            numbers = matches(rule.theirs, name) if i < last else None
            if numbers is not None:
                matched[name] = rule, [fill(path, numbers) for path in rule.paths]
                break
    return matched


def names_of(path: str, rules: Rules) -> dict[str, tuple[Rule, list[str]]]:
    """Names in the checkpoint of a path in the variables.

    Args:
      path: Path in the variables.
      rules: Conversion rules of the format.

    Returns:
      Rule by name, with all paths that share the array of this name.
    """
    return {
        fill(rule.theirs, numbers): (rule, [fill(part, numbers) for part in rule.paths])
        for rule in rules
        for template in rule.paths
        if (numbers := matches(template, path)) is not None
    }


def flatten(tree: PyTree) -> dict[str, Any]:
    """Leaves of nested mappings by path, with ``/`` as the separator."""
    return named_leaves(tree)


def unflatten(leaves: Mapping[str, Any]) -> dict[str, Any]:
    """Nested dicts of leaves by path; inverse of `flatten`."""
    tree: dict[str, Any] = {}
    for path, leaf in leaves.items():
        *parents, name = path.split("/")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[name] = leaf
    return tree


def _parts(array: Numpy, rule: Rule) -> list[Numpy]:
    """Splits an array of a checkpoint into leaves; unchanged if its shape is wrong."""
    count = len(rule.paths)
    try:
        parts = np.split(array, count, rule.axis) if count > 1 else [array]
        return [rule.layout.to_ours(part) for part in parts]
    # An array that cannot be split or transposed is reported later, with its shape.
    except (IndexError, ValueError):
        return [array] * count


def _fitted(
    path: str, array: Numpy, leaf: Any, resize: Resize, report: Report
) -> Numpy | None:
    """Array in the shape and dtype of a leaf, or None if it does not fit."""
    dtype, shape = array.dtype, array.shape
    # Integers, such as quantised weights, are no floats even in the same shape.
    floats = [jnp.issubdtype(kind, jnp.floating) for kind in (dtype, leaf.dtype)]
    if floats[0] == floats[1] and shape != leaf.shape:
        resized = resize(path, np.asarray(array, leaf.dtype), leaf.shape)
        array = array if resized is None else np.asarray(resized)
    if floats[0] != floats[1] or array.shape != leaf.shape:
        row = (path, f"{dtype} {[*shape]}", f"{leaf.dtype} {[*leaf.shape]}")
        if row not in report.mismatched:  # A tied array has two names.
            report.mismatched.append(row)
        return None
    if shape != leaf.shape:
        report.resized.append((path, f"{[*shape]}", f"{[*leaf.shape]}"))
    if dtype != leaf.dtype:
        report.cast.append((path, str(dtype), str(leaf.dtype)))
    return np.asarray(array, leaf.dtype)
