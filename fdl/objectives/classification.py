"""Multi-class classification."""

from collections.abc import Sequence

import jax.numpy as jnp

from fdl import losses
from fdl import metrics as measures
from fdl.errors import UserError, check_parameters, check_type
from fdl.objectives import supervised
from fdl.objectives.supervised import Loss, MetricFunctions
from fdl.types import Array, Model, Objective

DEFAULT_METRICS: MetricFunctions = {"accuracy": measures.accuracy}


def classification(
    model: Model,
    *,
    inputs: str = "image",
    labels: str = "label",
    loss: Loss = losses.cross_entropy,
    class_weights: Sequence[float] | Array | None = None,
    ignore: int | None = None,
    metrics: MetricFunctions = DEFAULT_METRICS,
) -> Objective:
    """Multi-class classification: mean cross-entropy of the labels.

    The mean is Σ w loss / Σ w over the labels that are neither masked by the batch's
    ``mask`` nor ignored, where w is the weight of their class. If there are none, the
    loss to minimise is zero, and the metrics are NaN.

    Args:
      model: Model of inputs [B, ...] to logits [B, C], or [B, ..., C] of several labels
        for each example.
      inputs: Name of the inputs in a batch.
      labels: Name of the class indices in a batch, int [B] or [B, ...]. They may be
        distributions, float [B, ..., C], of which metrics see the most likely class.
      loss: Function of logits and labels to one loss per label, such as
        ``partial(losses.cross_entropy, smoothing=0.1)`` or `losses.focal`.
      class_weights: Weights of the classes in the loss, but not in the other metrics,
        float [C]; see `losses.label_weights`. Default: all equal.
      ignore: Class index to ignore. Default: none.
      metrics: Further metrics by name: functions of logits [B, ..., C], labels [B, ...]
        and a mask, float [B] or [B, ...], or None.

    Returns:
      An objective with the metrics ``loss`` and, by default, ``accuracy``.

    Raises:
      UserError: When the objective is called: there is not one weight for each class,
        or ``ignore`` is set and labels are distributions.
    """
    check_type("model", model, Model, "fdl.models.functional(module)")
    check_parameters("loss", loss, "outputs, labels")

    def objective(variables, batch, key=None, *, train=False):
        logits, model_state = model.apply(
            variables, supervised.take(batch, inputs), key=key, train=train
        )
        target = classes = supervised.take(batch, labels)
        mask = batch.get("mask")
        if jnp.issubdtype(target.dtype, jnp.floating):
            if ignore is not None:
                raise UserError(
                    f"ignore={ignore}: expected None for labels as distributions, such "
                    "as those of mixup, which have no index to ignore"
                )
            classes = target.argmax(axis=-1)
        else:
            target, mask = supervised.without(ignore, target, mask)
            classes = target
        weights = mask
        if class_weights is not None:
            _check_weights(class_weights, logits)
            weights = losses.label_weights(target, class_weights)
            weights = supervised.masked(weights, mask)
        mean_loss = measures.mean(loss(logits, target), weights)
        monitored = supervised.metrics_of(mean_loss, metrics, logits, classes, mask)
        return supervised.to_minimise(mean_loss), (model_state, monitored)

    return objective


def _check_weights(class_weights, logits):
    if len(class_weights) != logits.shape[-1]:
        raise UserError(
            f"len(class_weights)={len(class_weights)}: expected {logits.shape[-1]}, "
            "one for each class"
        )
