"""Reconstruction of the inputs: autoencoders and denoising autoencoders."""

from typing import Any

import jax

from fdl import losses, metrics
from fdl.data.augment import Augment
from fdl.errors import check_type
from fdl.objectives import supervised
from fdl.objectives.supervised import Loss
from fdl.types import Model, Objective


def reconstruction(
    model: Model, *, inputs: str = "image", loss: Loss = losses.squared_error
) -> Objective:
    """Reconstruction: mean squared error between outputs and inputs.

    The mean is over the elements of all examples that the batch's ``mask`` keeps. If
    there are none, the loss to minimise is zero.

    Args:
      model: Model of inputs [B, ...] to reconstructions of the same shape.
      inputs: Name of the inputs in a batch.
      loss: Function of outputs and inputs to one loss per element, such as
        `losses.binary_cross_entropy` of a model whose outputs are logits.

    Returns:
      An objective with the metric ``loss``.
    """
    check_type("model", model, Model, "fdl.models.functional(module)")

    def objective(variables, batch, key=None, *, train=False):
        originals = supervised.take(batch, inputs)
        reconstructions, model_state = model.apply(
            variables, originals, key=key, train=train
        )
        errors = loss(reconstructions, originals)
        mean = metrics.mean(errors, batch.get("mask"))
        return supervised.to_minimise(mean), (model_state, {"loss": mean})

    return objective


def denoising_reconstruction(
    model: Model,
    corrupt: Augment,
    *,
    inputs: str = "image",
    loss: Loss = losses.squared_error,
    evaluation: bool = False,
) -> Objective:
    """Denoising autoencoder: reconstructs the inputs from corrupted ones.

    In training, the key of the step draws the noise. Evaluation is without noise, or
    with that of its key.

    Args:
      model: Model of inputs [B, ...] to reconstructions of the same shape.
      corrupt: ``corrupt(key, inputs)``, such as those of `data.augment.gaussian_noise`
        and `data.augment.masking_noise`.
      inputs: Name of the inputs in a batch.
      loss: Function of outputs and clean inputs to one loss per element.
      evaluation: Whether to corrupt the inputs in evaluation as well.

    Returns:
      An objective with the metric ``loss``.

    Raises:
      UserError: When it is called: there is no key to draw the noise from.

    References:
      Vincent et al., `Extracting and Composing Robust Features with Denoising
      Autoencoders <https://doi.org/10.1145/1390156.1390294>`_, 2008.
    """
    check_type("model", model, Model, "fdl.models.functional(module)")

    def objective(variables, batch, key=None, *, train=False):
        originals = seen = supervised.take(batch, inputs)
        if train or evaluation:
            supervised.check_key(key, " to draw the noise from")
            noise_key, key = jax.random.split(key)
            seen = corrupt(noise_key, originals)
        outputs: Any = model.apply(variables, seen, key=key, train=train)
        reconstructions, model_state = outputs
        errors = loss(reconstructions, originals)
        mean = metrics.mean(errors, batch.get("mask"))
        return supervised.to_minimise(mean), (model_state, {"loss": mean})

    return objective
