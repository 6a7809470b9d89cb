"""Supervised learning of one class out of several."""

from collections.abc import Sequence

import jax.numpy as jnp

from fdl import losses
from fdl import metrics as measures
from fdl.errors import UserError
from fdl.objectives import supervised
from fdl.objectives.supervised import Loss, Measures
from fdl.types import Array, Model, Objective

WATCHED: Measures = {"accuracy": measures.accuracy}


def classification(
    model: Model,
    *,
    inputs: str = "image",
    labels: str = "label",
    loss: Loss = losses.cross_entropy,
    class_weights: Sequence[float] | Array | None = None,
    ignore: int | None = None,
    metrics: Measures = WATCHED,
) -> Objective:
    """Say which class an example belongs to: mean cross-entropy of the labels.

    The mean is over all labels that count, Σ w loss / Σ w: those that the batch's
    ``mask`` lets through and that are not ignored, each with the weight of its class.
    Where none counts, the loss to minimise is zero, and the metrics are NaN.

    Args:
      model: Maps inputs [B, ...] to logits [B, C], or [B, ..., C] of several labels.
      inputs: Name of the inputs in a batch.
      labels: Name of the class indices in a batch, int [B] or [B, ...]; they may be
        distributions, float [B, ..., C], of which metrics see the likeliest class.
      loss: Of logits and labels, one number per label; say
        ``partial(losses.cross_entropy, smoothing=0.1)`` or `losses.focal`.
      class_weights: How much a label of each class counts in the loss, not in the
        other metrics, float [C]; see `losses.label_weights`.
      ignore: A class index that does not count.
      metrics: What to watch beside the loss: functions of logits [B, ..., C], labels
        [B, ...] and mask, which is float [B] or [B, ...], or None.

    Returns:
      An objective that watches ``loss`` and the metrics, ``accuracy`` by default.

    Raises:
      UserError: By the objective: there is not one weight for each class.
    """

    def objective(variables, batch, key=None, *, train=False):
        logits, model_state = model.apply(
            variables, supervised.take(batch, inputs), key=key, train=train
        )
        target = classes = supervised.take(batch, labels)
        mask = batch.get("mask")
        if jnp.issubdtype(target.dtype, jnp.floating):
            classes = target.argmax(axis=-1)
        else:
            target, mask = supervised.without(ignore, target, mask)
            classes = target
        weights = mask
        if class_weights is not None:
            _check_weights(class_weights, logits)
            weights = losses.label_weights(target, class_weights)
            weights = supervised.masked(weights, mask)
        error = measures.mean(loss(logits, target), weights)
        watched = supervised.watch(error, metrics, logits, classes, mask)
        return supervised.to_minimise(error), (model_state, watched)

    return objective


def _check_weights(class_weights, logits):
    if len(class_weights) != logits.shape[-1]:
        raise UserError(
            f"class_weights are {len(class_weights)}, but there are "
            f"{logits.shape[-1]} classes: expected one weight for each"
        )
