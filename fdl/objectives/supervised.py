"""What the objectives of supervised learning share."""

from collections.abc import Callable, Mapping

import jax.numpy as jnp

from fdl.errors import UserError, near
from fdl.losses.label_weights import is_label
from fdl.types import Array, Batch, Mean, Metric, Metrics

Loss = Callable[[Array, Array], Array]  # (outputs, labels) to one number per label.
Measure = Callable[[Array, Array, Array | None], Metric]  # (outputs, labels, mask).
Measures = Mapping[str, Measure]


def take(batch: Batch, name: str) -> Array:
    """An array of a batch, or an error that says which there are."""
    if name not in batch:
        raise UserError(f"There is no {name!r} in a batch. {near(name, batch)}")
    return batch[name]


def align(outputs: Array, labels: Array) -> Array:
    """The outputs without a last axis of one that the labels have not, either."""
    if outputs.ndim == labels.ndim + 1 and outputs.shape[-1] == 1:
        return outputs.squeeze(-1)
    return outputs


def without(
    ignore: int | None, labels: Array, mask: Array | None
) -> tuple[Array, Array | None]:
    """Labels with 0 for the ignored ones, and a mask that lets none of them through.

    Args:
      ignore: The label that does not count, if there is one.
      labels: [B, ...].
      mask: [B] or [B, ...]; None where all count.
    """
    if ignore is None:
        return labels, mask
    known = ~is_label(labels, ignore)
    return jnp.where(known, labels, 0), masked(known.astype(jnp.float32), mask)


def masked(weights: Array, mask: Array | None) -> Array:
    """Weights [B, ...] times a mask of them, [B] or [B, ...].

    Raises:
      UserError: The mask has another shape.
    """
    if mask is None:
        return weights
    expected = weights.shape[: mask.ndim]
    if mask.shape != expected:
        raise UserError(f"mask is {list(mask.shape)}: expected {list(expected)}")
    return weights * mask.reshape(mask.shape + (1,) * (weights.ndim - mask.ndim))


def to_minimise(loss: Mean) -> Array:
    """The mean; zero where nothing counts, so that nothing is learnt from nothing.

    Example:
      >>> to_minimise(Mean(jnp.zeros(()), jnp.zeros(())))
      Array(0., dtype=float32)
    """
    return loss.total / jnp.where(loss.weight == 0, 1, loss.weight)


def watch(
    loss: Mean, measures: Measures, outputs: Array, labels: Array, mask: Array | None
) -> Metrics:
    """The loss, and what else was asked for, by its name.

    Raises:
      UserError: One of them is called as the loss is.
    """
    if "loss" in measures:
        raise UserError("'loss' is the name of the loss: give the metric another one.")
    watched = {name: f(outputs, labels, mask) for name, f in measures.items()}
    return {"loss": loss, **watched}
