"""Supervised learning of numbers."""

from fdl import losses, metrics
from fdl.types import Model, Objective


def regression(
    model: Model,
    *,
    inputs: str = "features",
    targets: str = "target",
    mean: float = 0.0,
    std: float = 1.0,
) -> Objective:
    """Predict a number: mean squared error of the standardised targets.

    Args:
      model: Maps inputs [B, ...] to the standardised prediction, float [B, 1].
      inputs: Name of the inputs in a batch.
      targets: Name of the numbers to predict in a batch, float [B].
      mean: Mean of the training targets.
      std: Their standard deviation; with it the model learns numbers around one.

    Returns:
      An objective that watches ``loss`` (standardised) and ``mae`` (in the units of
      the targets).
    """

    def objective(variables, batch, key=None, *, train=False):
        outputs, model_state = model.apply(
            variables, batch[inputs], key=key, train=train
        )
        predictions, target = outputs.squeeze(-1), batch[targets]
        mask = batch.get("mask")
        errors = losses.squared_error(predictions, (target - mean) / std)
        loss = metrics.mean(errors, mask)
        mae = metrics.mean_absolute_error(predictions * std + mean, target, mask)
        return loss.compute(), (model_state, {"loss": loss, "mae": mae})

    return objective
