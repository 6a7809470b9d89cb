"""Checkpoint averaging: the mean of the parameters of several checkpoints."""

from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fdl.types import Variables


def average_variables(checkpoints: Iterable[Variables]) -> Variables:
    """Checkpoint averaging: the mean of the parameters of several checkpoints.

    It is computed in float64 and rounded once, to the dtype of the parameters. What is
    no float, and other collections than ``params``, such as batch statistics, are those
    of the last checkpoint. Of an iterator, one checkpoint is in memory at a time.

    Args:
      checkpoints: Variables of each checkpoint, NumPy arrays of equal shapes; at least
        one.

    References:
      Vaswani et al., `Attention Is All You Need <https://arxiv.org/abs/1706.03762>`_,
      2017, section 6.1: the last 5 or 20 checkpoints.

    Example:
      >>> weights = np.float32([[1, 2], [2, 4]])
      >>> average_variables({"params": {"kernel": x}} for x in weights)
      {'params': {'kernel': array([1.5, 3. ], dtype=float32)}}
    """
    count, total = 0, None
    last: Variables = {}
    for last in checkpoints:
        wide = jax.tree.map(lambda x: np.asarray(x).astype(np.float64), last["params"])
        total = wide if total is None else jax.tree.map(np.add, total, wide)
        count += 1

    def mean(total: Any, x: Any) -> Any:
        floating = jnp.issubdtype(x.dtype, jnp.floating)
        return (total / count).astype(x.dtype) if floating else x

    return {**last, "params": jax.tree.map(mean, total, last["params"])}
