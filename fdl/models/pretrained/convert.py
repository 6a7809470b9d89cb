"""Arrays of a published checkpoint to variables of ours, and back."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from fdl.models.pretrained.report import Report
from fdl.models.pretrained.rules import Numpy, Rule, Rules, fill, matches
from fdl.trees import named_leaves
from fdl.types import PyTree, Variables

Resize = Callable[[str, Numpy, tuple[int, ...]], Numpy | None]


def to_ours(
    tensors: Mapping[str, Any],
    rules: Rules,
    like: Variables,
    resize: Resize = lambda path, array, shape: None,
) -> tuple[dict[str, Numpy], Report]:
    """Renames and lays out the arrays of a checkpoint.

    Args:
      tensors: Arrays by their names, read one at a time.
      rules: How they are named and laid out.
      like: Our variables, or their shapes and dtypes.
      resize: Makes an array of another shape fit; None where it may not.

    Returns:
      Our arrays by path, cast to our dtypes, and a report.
    """
    leaves, report = flatten(like), Report()
    arrays: dict[str, Numpy] = {}
    found = stand_for(tensors, rules)
    for name in tensors:
        rule, paths = found.get(name, (None, []))
        if rule is None or not all(path in leaves for path in paths):
            report.unexpected.append(name)
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
                arrays[path] = array
                report.matched.append(path)
            elif not np.array_equal(arrays[path], array, equal_nan=True):
                report.conflicting.append((name, path))
    seen = {*arrays, *(path for path, *_ in report.mismatched)}
    report.missing.extend(path for path in leaves if path not in seen)
    return arrays, report


def to_theirs(variables: Variables, rules: Rules) -> dict[str, Numpy]:
    """Names and lays out our variables as a published checkpoint does.

    Raises:
      KeyError: No rule covers a path, or only a part of an array is there.
    """
    leaves = flatten(variables)
    arrays: dict[str, Numpy] = {}
    for path in leaves:
        names = names_of(path, rules)
        if not names:
            raise KeyError(path)
        for name, (rule, paths) in names.items():
            if name not in arrays:
                parts = [rule.layout.to_theirs(np.asarray(leaves[p])) for p in paths]
                whole = len(parts) == 1
                arrays[name] = parts[0] if whole else np.concatenate(parts, rule.axis)
    return arrays


def stand_for(names: Iterable[str], rules: Rules) -> dict[str, tuple[Rule, list[str]]]:
    """What names of theirs stand for: the first rule that fits, and paths of ours."""
    exact: dict[str, int] = {}
    patterns = []
    for i, rule in enumerate(rules):
        if {*"{["} & {*rule.theirs}:
            patterns.append((i, rule))
        else:
            exact.setdefault(rule.theirs, i)
    found = {}
    for name in names:
        last = exact.get(name, len(rules))
        if name in exact:
            found[name] = rules[last], [*rules[last].paths]
        for i, rule in patterns:
            numbers = matches(rule.theirs, name) if i < last else None
            if numbers is not None:
                found[name] = rule, [fill(path, numbers) for path in rule.paths]
                break
    return found


def names_of(path: str, rules: Rules) -> dict[str, tuple[Rule, list[str]]]:
    """What a path of ours is called there, by which rules, and with which others."""
    return {
        fill(rule.theirs, numbers): (rule, [fill(part, numbers) for part in rule.paths])
        for rule in rules
        for template in rule.paths
        if (numbers := matches(template, path)) is not None
    }


def flatten(tree: PyTree) -> dict[str, Any]:
    """The leaves of nested mappings, by path."""
    return named_leaves(tree)


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


def _parts(array: Numpy, rule: Rule) -> list[Numpy]:
    """An array of theirs in parts of ours; as it is where it has no such shape."""
    count = len(rule.paths)
    try:
        parts = np.split(array, count, rule.axis) if count > 1 else [array]
        return [rule.layout.to_ours(part) for part in parts]
    except (IndexError, ValueError):
        return [array] * count


def _fitted(
    path: str, array: Numpy, leaf: Any, resize: Resize, report: Report
) -> Numpy | None:
    """The array in the shape and dtype of ours; None, and said so, where it differs."""
    dtype, shape = array.dtype, array.shape
    floats = [jnp.issubdtype(kind, jnp.floating) for kind in (dtype, leaf.dtype)]
    if floats[0] == floats[1] and shape != leaf.shape:
        resized = resize(path, np.asarray(array, leaf.dtype), leaf.shape)
        array = array if resized is None else np.asarray(resized)
    if floats[0] != floats[1] or array.shape != leaf.shape:
        row = (path, f"{dtype} {[*shape]}", f"{leaf.dtype} {[*leaf.shape]}")
        if row not in report.mismatched:  # It may have two names there.
            report.mismatched.append(row)
        return None
    if shape != leaf.shape:
        report.resized.append((path, f"{[*shape]}", f"{[*leaf.shape]}"))
    if dtype != leaf.dtype:
        report.cast.append((path, str(dtype), str(leaf.dtype)))
    return np.asarray(array, leaf.dtype)
