"""Exact likelihood of discrete images: PixelCNN and Transformers over pixels."""

import math

from fdl import losses, metrics
from fdl.errors import UserError, check_type
from fdl.models.layers.pixel_values import pixel_values
from fdl.objectives import supervised
from fdl.types import Mean, Model, Objective


def pixel_likelihood(model: Model, *, inputs: str = "image") -> Objective:
    """Maximum likelihood of discrete images: their exact negative log-likelihood.

    It is a mean over the images that the batch's ``mask`` keeps, float [B]; if there
    are none, the loss to minimise is zero. Bits per dimension compare images of any
    size, but only of the same values: of binarised images, or of 17 levels.

    Args:
      model: Autoregressive model of images [B, ...] to logits of the V values of each
        pixel, float [B, ..., V], such as `models.PixelCNN`. Images are values 0 to
        V − 1, int, or pixels v / (V − 1) from 0 to 1, float.
      inputs: Name of the images in a batch.

    Returns:
      An objective with the metrics ``loss``, in nats per image, and ``bits_per_dim``.
      They are NaN if a pixel has no value from 0 to V − 1.

    References:
      van den Oord, Kalchbrenner and Kavukcuoglu, `Pixel Recurrent Neural Networks
      <https://arxiv.org/abs/1601.06759>`_, 2016.
    """
    check_type("model", model, Model, "fdl.models.functional(module)")

    def objective(variables, batch, key=None, *, train=False):
        images = supervised.take(batch, inputs)
        logits, model_state = model.apply(variables, images, key=key, train=train)
        if logits.shape[:-1] != images.shape:
            raise UserError(
                f"outputs of the model {list(logits.shape)}: expected logits "
                f"{[*images.shape, 'V']}"
            )
        nats = losses.pixel_nll(logits, pixel_values(images, logits.shape[-1]))
        loss = metrics.mean(nats, batch.get("mask"))
        bits = math.log(2) * math.prod(images.shape[1:])
        monitored = {"loss": loss, "bits_per_dim": Mean(loss.total / bits, loss.weight)}
        return supervised.to_minimise(loss), (model_state, monitored)

    return objective
