"""Unsupervised learning by restoring what was squeezed or spoilt."""

from fdl import losses, metrics
from fdl.types import Model, Objective


def reconstruction(model: Model, *, inputs: str = "image") -> Objective:
    """Restore the inputs: mean squared error over examples and their numbers.

    Args:
      model: Maps inputs [B, ...] to restorations of the same shape.
      inputs: Name of the inputs in a batch.

    Returns:
      An objective that watches ``loss``.
    """

    def objective(variables, batch, key=None, *, train=False):
        restored, model_state = model.apply(
            variables, batch[inputs], key=key, train=train
        )
        errors = losses.squared_error(restored, batch[inputs])
        loss = metrics.mean(errors, batch.get("mask"))
        return loss.compute(), (model_state, {"loss": loss})

    return objective
