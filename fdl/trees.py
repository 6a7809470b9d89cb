"""Names of pytree leaves, and subtrees by their path."""

import fnmatch
from collections.abc import Iterable, Mapping
from typing import Any

import jax

from fdl.errors import UserError, near


def path_name(path: tuple[Any, ...]) -> str:
    """Name of a leaf: the keys of its path, joined by slashes.

    Args:
      path: Key path, as from `jax.tree.leaves_with_path`.

    Example:
      >>> (path, _), = jax.tree.leaves_with_path({"dense_0": {"kernel": 1.0}})
      >>> path_name(path)
      'dense_0/kernel'
    """
    return jax.tree_util.keystr(path, simple=True, separator="/")


def named_leaves(tree: Any) -> dict[str, Any]:
    """Leaves of a tree by `path_name`, in the order of the tree.

    Example:
      >>> named_leaves({"a": [1, 2]})
      {'a/0': 1, 'a/1': 2}
    """
    return {path_name(path): leaf for path, leaf in jax.tree.leaves_with_path(tree)}


def num_bytes(tree: Any) -> int:
    """Number of bytes of all arrays of a tree, or of their shapes and dtypes.

    Example:
      >>> import numpy as np
      >>> num_bytes({"kernel": np.zeros((2, 3), np.float32), "name": "dense"})
      24
    """
    leaves = [leaf for leaf in jax.tree.leaves(tree) if hasattr(leaf, "dtype")]
    return sum(x.size * x.dtype.itemsize for x in leaves)


def matches(path: str, pattern: str) -> bool:
    """True if a pattern matches one or more consecutive names anywhere in a path.

    Args:
      path: Names joined by slashes.
      pattern: Pattern in the syntax of `fnmatch`; ``*`` matches slashes as well.

    Example:
      >>> matches("encoder/dense_0/kernel", "dense_*"), matches("encoder/bias", "enc")
      (True, False)
    """
    # Slashes around both keep a pattern from matching a part of a name.
    return fnmatch.fnmatchcase(f"/{path}/", f"*/{pattern.strip('/')}/*")


def check_patterns(patterns: Iterable[str], paths: Iterable[str], key: str) -> None:
    """Checks that each pattern matches a path.

    Args:
      patterns: Patterns; see `matches`.
      paths: Names joined by slashes.
      key: Name of the option that the patterns are from, for the error message.

    Raises:
      UserError: A pattern matches none; with near names.
    """
    paths = [*paths]
    for pattern in patterns:
        if not any(matches(path, pattern) for path in paths):
            # Names near a pattern are looked for among single names, and prefixes.
            parts = {part for n in paths for part in n.split("/")}
            if "/" in pattern:
                split = [n.split("/") for n in paths]
                parts |= {"/".join(names[:i]) for names in split for i in range(1, 9)}
            hint = near(pattern, parts)
            raise UserError(f"{key}: {pattern!r} matches no parameter. {hint}")


def subtree(tree: Mapping[str, Any], path: str) -> Any:
    """Subtree of nested dicts at a path.

    Args:
      tree: Nested dicts.
      path: Keys joined by slashes; empty for the tree itself.

    Raises:
      UserError: There is no such path.

    Example:
      >>> subtree({"encoder": {"dense": 1}, "head": 2}, "encoder/dense")
      1
    """
    inner: Any = tree
    for name in path.split("/") if path else ():
        if not isinstance(inner, Mapping) or name not in inner:
            known = inner if isinstance(inner, Mapping) else ()
            raise UserError(
                f"path={path!r}: expected a subtree of the parameters. "
                f"{near(name, known)}"
            )
        inner = inner[name]
    return inner


def has_subtree(tree: Any, path: str) -> bool:
    """True if nested dicts have a subtree at a path."""
    for name in path.split("/") if path else ():
        if not isinstance(tree, Mapping) or name not in tree:
            return False
        tree = tree[name]
    return True


def with_subtree(tree: Mapping[str, Any], path: str, new: Any) -> Any:
    """Nested dicts with another subtree at a path; the argument is not changed.

    Args:
      tree: Nested dicts.
      path: Keys joined by slashes; empty for the tree itself.
      new: Subtree to put there.

    Example:
      >>> with_subtree({"encoder": {"dense": 1}, "head": 2}, "encoder/dense", 3)
      {'encoder': {'dense': 3}, 'head': 2}
    """
    if not path:
        return new
    name, _, rest = path.partition("/")
    return {**tree, name: with_subtree(tree[name], rest, new)}


def side_by_side(members: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Variables of several models as one: names lie below the collections.

    Example:
      >>> side_by_side({"a": {"params": 1}, "b": {"params": 2, "batch_stats": 3}})
      {'params': {'a': 1, 'b': 2}, 'batch_stats': {'b': 3}}
    """
    collections: dict[str, dict[str, Any]] = {}
    for name, variables in members.items():
        for collection, tree in variables.items():
            collections.setdefault(collection, {})[name] = tree
    return collections


def select_variables(variables: Mapping[str, Any], name: str | int) -> dict[str, Any]:
    """Variables of one of several models; the inverse of `side_by_side`.

    Args:
      variables: Variables of several models.
      name: Name of the model, or its number.

    Raises:
      UserError: There is no model of this name.

    Example:
      >>> select_variables({"params": {"a": 1, "b": 2}, "batch_stats": {"b": 3}}, "a")
      {'params': 1}
    """
    name = str(name)
    selected = {
        collection: tree[name] for collection, tree in variables.items() if name in tree
    }
    if not selected:
        known = {key for tree in variables.values() for key in tree}
        raise UserError(f"there is no model {name!r}. {near(name, known)}")
    return selected
