"""Samples of autoregressive models of images, as an ability."""

from fdl.evaluation.generative import sampler
from fdl.generation.pixels import sample_pixels
from fdl.types import Ability, Array, Key, Model, Variables


def pixel_sampler(model: Model) -> Ability:
    """Samples of an autoregressive model of images: ``sample``, float32 [B, H, W, C].

    Pixels are drawn one after the other, and scaled to v / (V − 1), from 0 to 1. Its
    inputs are the ``temperature`` of each sample, float [B]; see
    `fdl.generation.sample_pixels`.

    Args:
      model: Model of a `models.PixelCNN` or `models.PixelTransformer`.
    """

    def draw(variables: Variables, temperature: Array, key: Key) -> Array:
        values = sample_pixels(model, variables, temperature, key)
        return values / (model.module.num_values - 1)

    return sampler(draw)
