"""Arrays of a published checkpoint to variables of ours, and back."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from fdl.models.weights.rules import Numpy, Rules, fill, matches
from fdl.types import PyTree, Variables


class Report(NamedTuple):
    """What became of a checkpoint.

    Attributes:
      matched: Paths of ours that were found in it.
      missing: Paths of ours that were not.
      unexpected: Names of theirs that no path asked for.
      mismatched: Paths of ours with another shape: (path, shape of theirs, of ours).
    """

    matched: list[str]
    missing: list[str]
    unexpected: list[str]
    mismatched: list[tuple[str, tuple[int, ...], tuple[int, ...]]]


def to_ours(
    tensors: Mapping[str, Any], rules: Rules, like: Variables
) -> tuple[dict[str, Numpy], Report]:
    """Renames and lays out the arrays of a checkpoint.

    Args:
      tensors: Arrays by their names, read one at a time.
      rules: How they are named and laid out.
      like: Our variables, or their shapes and dtypes.

    Returns:
      Our arrays by path, cast to our dtypes, and a report.
    """
    shapes = flatten(like)
    arrays: dict[str, Numpy] = {}
    report = Report([], [], [], [])
    for name in tensors:
        for rule in rules:
            numbers = matches(rule.theirs, name)
            if numbers is not None:
                break
        else:
            report.unexpected.append(name)
            continue
        paths = [fill(path, numbers) for path in rule.paths]
        known = [path for path in paths if path in shapes]
        if paths and not known:
            report.unexpected.append(name)
        if not known:
            continue
        array = np.asarray(tensors[name])
        parts = np.split(array, len(paths), rule.axis)
        for path, part in zip(paths, parts, strict=True):
            part = rule.layout.to_ours(part)
            if part.shape != shapes[path].shape:
                report.mismatched.append((path, part.shape, shapes[path].shape))
            else:
                arrays[path] = part.astype(shapes[path].dtype)
                report.matched.append(path)
    seen = {*arrays, *(path for path, *_ in report.mismatched)}
    report.missing.extend(path for path in shapes if path not in seen)
    return arrays, report


def to_theirs(variables: Variables, rules: Rules) -> dict[str, Numpy]:
    """Names and lays out our variables as a published checkpoint does.

    Raises:
      KeyError: No rule covers a path.
    """
    parts: dict[str, dict[int, Numpy]] = {}
    rule_of = {}
    for path, array in flatten(variables).items():
        found = [
            (rule, i, numbers)
            for rule in rules
            for i, template in enumerate(rule.paths)
            if (numbers := matches(template, path)) is not None
        ]
        if not found:
            raise KeyError(path)
        for rule, i, numbers in found:
            name = fill(rule.theirs, numbers)
            parts.setdefault(name, {})[i] = rule.layout.to_theirs(np.asarray(array))
            rule_of[name] = rule
    return {
        name: np.concatenate([found[i] for i in sorted(found)], rule_of[name].axis)
        if len(found) > 1
        else found[0]
        for name, found in parts.items()
    }


def flatten(tree: PyTree) -> dict[str, Any]:
    """The leaves of nested mappings, by path."""
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf
        for path, leaf in jax.tree.leaves_with_path(tree)
    }


def unflatten(leaves: Mapping[str, Any]) -> dict[str, Any]:
    """Nested dicts of leaves by path; undoes `flatten`."""
    tree: dict[str, Any] = {}
    for path, leaf in leaves.items():
        *parents, name = path.split("/")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[name] = leaf
    return tree
