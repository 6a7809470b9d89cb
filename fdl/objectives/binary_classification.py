"""Binary and multi-label classification."""

import jax.numpy as jnp

from fdl import losses
from fdl import metrics as measures
from fdl.errors import check_parameters, check_type
from fdl.objectives import supervised
from fdl.objectives.supervised import Loss, MetricFunctions
from fdl.types import Model, Objective

DEFAULT_METRICS: MetricFunctions = {"accuracy": measures.accuracy}


def binary_classification(
    model: Model,
    *,
    inputs: str = "image",
    labels: str = "label",
    loss: Loss = losses.binary_cross_entropy,
    ignore: int | None = None,
    metrics: MetricFunctions = DEFAULT_METRICS,
) -> Objective:
    """Binary classification: mean binary cross-entropy of the labels.

    There is one label for each example, or several independent ones (multi-label
    classification); the mean is over all labels that are neither masked nor ignored. If
    there are none, the loss to minimise is zero, and the metrics are NaN.

    Args:
      model: Model of inputs [B, ...] to the logits of the positive class, float [B, 1],
        or [B, L] of L labels.
      inputs: Name of the inputs in a batch.
      labels: Name of the labels in a batch, 0 or 1, [B] or [B, L]. They may be
        probabilities, float, which metrics see thresholded at ½.
      loss: Function of logits and labels to one loss per label, such as `losses.hinge`
        or ``partial(losses.binary_cross_entropy, positive_weight=3.0)``.
      ignore: Label to ignore, such as -1 for unknown ones. Default: none.
      metrics: Further metrics by name: functions of logits [B] or [B, L], labels of the
        same shape and a mask, float [B] (or [B, L] with ``ignore``) or None.

    Returns:
      An objective with the metrics ``loss`` and, by default, ``accuracy`` over all
      labels.
    """
    check_type("model", model, Model, "fdl.models.functional(module)")
    check_parameters("loss", loss, "outputs, labels")

    def objective(variables, batch, key=None, *, train=False):
        outputs, model_state = model.apply(
            variables, supervised.take(batch, inputs), key=key, train=train
        )
        targets, mask = supervised.take(batch, labels), batch.get("mask")
        logits = supervised.align(outputs, targets)
        targets, mask = supervised.without(ignore, targets, mask)
        mean_loss = measures.mean(loss(logits, targets), mask)
        # After the loss, which is of the probabilities themselves.
        if jnp.issubdtype(targets.dtype, jnp.floating):
            targets = (targets >= 0.5).astype(jnp.int32)
        monitored = supervised.metrics_of(mean_loss, metrics, logits, targets, mask)
        return supervised.to_minimise(mean_loss), (model_state, monitored)

    return objective
