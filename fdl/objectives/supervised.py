"""Helpers of supervised objectives: shapes, masks, ignored labels, metrics."""

from collections.abc import Callable, Mapping

import jax.numpy as jnp

from fdl.errors import UserError, check_type, near
from fdl.losses.label_weights import is_label
from fdl.types import Array, Batch, Mean, Metric, Metrics

Loss = Callable[[Array, Array], Array]  # (outputs, labels) to one loss per label.
MetricFunction = Callable[
    [Array, Array, Array | None], Metric
]  # (outputs, labels, mask).
MetricFunctions = Mapping[str, MetricFunction]


def take(batch: Batch, name: str) -> Array:
    """Array of a batch by its name.

    Raises:
      UserError: The batch has no array of this name, or no names at all.
    """
    check_type("batch", batch, Mapping, "{'image': ..., 'label': ...}")
    if name not in batch:
        raise UserError(f"there is no {name!r} in a batch. {near(name, batch)}")
    return batch[name]


def check_key(key: Array | None, reason: str) -> None:
    """Raises `UserError` unless there is a key.

    Args:
      key: Key of an objective, or None.
      reason: Rest of the sentence "expected a key", with its space or comma.
    """
    if key is None:
        raise UserError(f"key=None: expected a key{reason}")


def align(outputs: Array, labels: Array) -> Array:
    """Outputs [B, ...] of [B, ..., 1], if the labels have no such axis."""
    if outputs.ndim == labels.ndim + 1 and outputs.shape[-1] == 1:
        return outputs.squeeze(-1)
    return outputs


def without(
    ignore: int | None, labels: Array, mask: Array | None
) -> tuple[Array, Array | None]:
    """Labels with 0 in place of ignored ones, and a mask that excludes these.

    Args:
      ignore: Label to ignore, or None.
      labels: Labels [B, ...].
      mask: Mask [B] or [B, ...], or None for all.
    """
    if ignore is None:
        return labels, mask
    known = ~is_label(labels, ignore)
    # Labels are replaced as well as masked: of an ignored one such as -1, the loss may
    # be NaN, which a weight of zero does not remove.
    return jnp.where(known, labels, 0), masked(known.astype(jnp.float32), mask)


def masked(weights: Array, mask: Array | None) -> Array:
    """Masked weights, [B, ...].

    Args:
      weights: Weights [B, ...].
      mask: Mask of the leading axes, [B] or [B, ...], or None for all.

    Raises:
      UserError: The mask does not have the shape of leading axes.
    """
    if mask is None:
        return weights
    expected = weights.shape[: mask.ndim]
    if mask.shape != expected:
        raise UserError(f"mask.shape={list(mask.shape)}: expected {list(expected)}")
    return weights * mask.reshape(mask.shape + (1,) * (weights.ndim - mask.ndim))


def to_minimise(loss: Mean) -> Array:
    """Mean loss, float []; zero, with a gradient of zero, if the total weight is zero.

    Example:
      >>> to_minimise(Mean(jnp.zeros(()), jnp.zeros(())))
      Array(0., dtype=float32)
    """
    # `Mean.compute` is NaN then, as a metric should be, but a NaN in the loss would
    # spoil the weights.
    return loss.total / jnp.where(loss.weight == 0, 1, loss.weight)


def metrics_of(
    loss: Mean,
    metrics: MetricFunctions,
    outputs: Array,
    labels: Array,
    mask: Array | None,
) -> Metrics:
    """Metrics of a batch by name, the loss first.

    Args:
      loss: Mean loss of the batch.
      metrics: Further metrics by name.
      outputs: Outputs of the model, as the metrics take them.
      labels: Labels or targets.
      mask: Mask of the labels, or None for all.

    Raises:
      UserError: A metric is named ``loss``.
    """
    if "loss" in metrics:
        raise UserError("metrics['loss']: expected another name than that of the loss")
    values = {name: f(outputs, labels, mask) for name, f in metrics.items()}
    return {"loss": loss, **values}
