"""Regression."""

from fdl import losses
from fdl import metrics as measures
from fdl.errors import UserError, check_parameters, check_type
from fdl.losses.half_precision import at_least_float32
from fdl.objectives import supervised
from fdl.objectives.supervised import Loss, MetricFunctions
from fdl.types import Model, Objective

DEFAULT_METRICS: MetricFunctions = {"mae": measures.mean_absolute_error}


def regression(
    model: Model,
    *,
    inputs: str = "features",
    targets: str = "target",
    mean: float = 0.0,
    std: float = 1.0,
    loss: Loss = losses.squared_error,
    metrics: MetricFunctions = DEFAULT_METRICS,
) -> Objective:
    """Regression: mean squared error of the standardised targets.

    If the batch's ``mask`` keeps no example, the loss to minimise is zero, and the
    metrics are NaN.

    Args:
      model: Model of inputs [B, ...] to standardised predictions, float [B, 1], or
        [B, K] of K targets. If the loss takes more outputs than there are targets (mean
        and log-variance, say), metrics see the first one.
      inputs: Name of the inputs in a batch.
      targets: Name of the targets in a batch, float [B] or [B, K].
      mean: Mean of the training targets. Default: no shift.
      std: Standard deviation of the training targets, positive. Default: no scaling.
      loss: Function of standardised outputs and targets to one loss per target, such as
        `losses.absolute_error` or ``partial(losses.quantile, level=0.9)``.
      metrics: Further metrics by name: functions of predictions and targets, both in
        the units of the targets, and a mask, float [B] or None.

    Returns:
      An objective with the metrics ``loss``, of standardised targets, and, by default,
      ``mae``.

    Raises:
      UserError: The standard deviation is not positive.
    """
    check_type("model", model, Model, "fdl.models.functional(module)")
    check_parameters("loss", loss, "outputs, labels")
    if not std > 0:
        raise UserError(f"std={std}: expected a positive number")

    def objective(variables, batch, key=None, *, train=False):
        outputs, model_state = model.apply(
            variables, supervised.take(batch, inputs), key=key, train=train
        )
        target, mask = supervised.take(batch, targets), batch.get("mask")
        outputs = supervised.align(outputs, target)
        mean_loss = measures.mean(loss(outputs, (target - mean) / std), mask)
        prediction = outputs[..., 0] if outputs.ndim > target.ndim else outputs
        # In half precision, adding a large mean would round the deviation from it away.
        prediction = at_least_float32(prediction) * std + mean
        monitored = supervised.metrics_of(mean_loss, metrics, prediction, target, mask)
        return supervised.to_minimise(mean_loss), (model_state, monitored)

    return objective
