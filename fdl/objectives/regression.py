"""Supervised learning of numbers."""

from fdl import losses
from fdl import metrics as measures
from fdl.losses.half_precision import at_least_float32
from fdl.objectives import supervised
from fdl.objectives.supervised import Loss, Measures
from fdl.types import Model, Objective

WATCHED: Measures = {"mae": measures.mean_absolute_error}


def regression(
    model: Model,
    *,
    inputs: str = "features",
    targets: str = "target",
    mean: float = 0.0,
    std: float = 1.0,
    loss: Loss = losses.squared_error,
    metrics: Measures = WATCHED,
) -> Objective:
    """Predict a number: mean squared error of the standardised targets.

    Where the batch's ``mask`` lets nothing through, the loss to minimise is zero, and
    the metrics are NaN.

    Args:
      model: Maps inputs [B, ...] to the standardised prediction, float [B, 1]; of
        several targets, [B, K]. Where a loss wants more outputs than there are
        targets (mean and log-variance, say), metrics see the first one.
      inputs: Name of the inputs in a batch.
      targets: Name of the numbers to predict in a batch, float [B] or [B, K].
      mean: Mean of the training targets.
      std: Their standard deviation; with it the model learns numbers around one.
      loss: Of standardised outputs and targets, one number per target; say
        `losses.absolute_error` or ``partial(losses.quantile, level=0.9)``.
      metrics: What to watch beside the loss: functions of predictions and targets,
        both in the units of the targets, and mask, float [B] or None.

    Returns:
      An objective that watches ``loss`` (standardised) and the metrics, by default
      ``mae``.
    """

    def objective(variables, batch, key=None, *, train=False):
        outputs, model_state = model.apply(
            variables, supervised.take(batch, inputs), key=key, train=train
        )
        target, mask = supervised.take(batch, targets), batch.get("mask")
        outputs = supervised.align(outputs, target)
        error = measures.mean(loss(outputs, (target - mean) / std), mask)
        first = outputs[..., 0] if outputs.ndim > target.ndim else outputs
        # In half precision, a deviation from a large mean has no digits left.
        first = at_least_float32(first)
        watched = supervised.watch(error, metrics, first * std + mean, target, mask)
        return supervised.to_minimise(error), (model_state, watched)

    return objective
