"""Unsupervised learning by restoring what was squeezed or spoilt."""

from fdl import losses, metrics
from fdl.objectives import supervised
from fdl.types import Model, Objective


def reconstruction(model: Model, *, inputs: str = "image") -> Objective:
    """Restore the inputs: mean squared error over examples and their numbers.

    Where the batch's ``mask`` lets nothing through, the loss to minimise is zero.

    Args:
      model: Maps inputs [B, ...] to restorations of the same shape.
      inputs: Name of the inputs in a batch.

    Returns:
      An objective that watches ``loss``.
    """

    def objective(variables, batch, key=None, *, train=False):
        given = supervised.take(batch, inputs)
        restored, model_state = model.apply(variables, given, key=key, train=train)
        errors = losses.squared_error(restored, given)
        loss = metrics.mean(errors, batch.get("mask"))
        return supervised.to_minimise(loss), (model_state, {"loss": loss})

    return objective
