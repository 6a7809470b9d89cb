"""Reconstruction of the inputs: autoencoders and denoising autoencoders."""

from fdl import losses, metrics
from fdl.errors import check_type
from fdl.objectives import supervised
from fdl.types import Model, Objective


def reconstruction(model: Model, *, inputs: str = "image") -> Objective:
    """Reconstruction: mean squared error between outputs and inputs.

    The mean is over the elements of all examples that the batch's ``mask`` keeps. If
    there are none, the loss to minimise is zero.

    Args:
      model: Model of inputs [B, ...] to reconstructions of the same shape.
      inputs: Name of the inputs in a batch.

    Returns:
      An objective with the metric ``loss``.
    """
    check_type("model", model, Model, "fdl.models.functional(module)")

    def objective(variables, batch, key=None, *, train=False):
        originals = supervised.take(batch, inputs)
        reconstructions, model_state = model.apply(
            variables, originals, key=key, train=train
        )
        errors = losses.squared_error(reconstructions, originals)
        loss = metrics.mean(errors, batch.get("mask"))
        return supervised.to_minimise(loss), (model_state, {"loss": loss})

    return objective
