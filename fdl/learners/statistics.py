"""Batch statistics computed anew for given parameters."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from fdl.data.batches import keyed_items
from fdl.errors import UserError
from fdl.types import Array, Batch, Batches, Model, PyTree, Variables


def refresh_statistics(
    model: Model,
    variables: Variables,
    batches: Batches,
    *,
    inputs: str | Callable[[Batch], Array] = "image",
    num_batches: int | None = None,
    seed: int = 0,
) -> Variables:
    """Recomputes the statistics of batch normalisation for given parameters.

    The new statistics are the means over batches of each batch's own, as of PyTorch's
    ``update_bn``: weights that are averages of others need statistics of their own.
    Nothing else changes.

    Args:
      model: Model of the variables.
      variables: Variables with a collection ``batch_stats``; without it, they are
        returned as they are.
      batches: Training batches.
      inputs: Name of the inputs in a batch, or a function of it.
      num_batches: Number of batches. Default: an epoch.
      seed: Seed of dropout.

    Raises:
      UserError: The batches have no epochs, and their number is not given.
    """
    refresh = fresh_statistics(
        model, batches, inputs=inputs, num_batches=num_batches, seed=seed
    )
    return refresh(variables)


def fresh_statistics(
    model: Model,
    batches: Batches,
    *,
    inputs: str | Callable[[Batch], Array] = "image",
    num_batches: int | None = None,
    seed: int = 0,
) -> Callable[[Variables], Variables]:
    """Function of variables that is `refresh_statistics`, compiled once."""

    @jax.jit
    def statistics(variables, data, item, key) -> Any:
        batch = batches.take(data, item)
        x = inputs(batch) if callable(inputs) else batch[inputs]

        def running(start):
            # A running mean is affine in its old value: m old + (1 − m) new. From 0 and
            # 1 the statistics of the batch follow, whatever the momentum m is.
            old = jax.tree.map(
                lambda leaf: jnp.full_like(leaf, start), variables["batch_stats"]
            )
            changed = {**variables, "batch_stats": old}
            return model.apply(changed, x, key=key, train=True)[1]["batch_stats"]

        return jax.tree.map(
            lambda zero, one: zero / (1 - (one - zero)), running(0), running(1)
        )

    @functools.cache
    def device_data() -> PyTree:
        return jax.device_put(batches.data)

    def refresh(variables: Variables) -> Variables:
        if "batch_stats" not in variables:
            return variables
        count = num_batches or batches.steps_per_epoch
        if not count:
            raise UserError(
                "num_batches=None: expected a number, as these batches have no epochs"
            )
        total = None
        for item, key in keyed_items(batches, seed, count):
            new = statistics(variables, device_data(), item, key)
            total = new if total is None else jax.tree.map(jnp.add, total, new)
        means = jax.tree.map(
            lambda x, old: (x / count).astype(old.dtype),
            total,
            variables["batch_stats"],
        )
        return {**variables, "batch_stats": means}

    return refresh
