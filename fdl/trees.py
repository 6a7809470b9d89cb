"""Names of pytree leaves."""

from typing import Any

import jax


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
