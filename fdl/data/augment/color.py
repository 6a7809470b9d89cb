"""Augmentations of colours and of numbers."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from fdl.data.augment import pixel_operations
from fdl.data.augment.composition import (
    Augment,
    check_floats,
    per_example,
    per_image,
)
from fdl.types import Array, Key


def color_jitter(
    brightness: float = 0.0,
    contrast: float = 0.0,
    saturation: float = 0.0,
    hue: float = 0.0,
) -> Augment:
    """Other brightness, contrast, saturation and hue, in random order.

    How much is drawn for each image, the order once for the batch: so each of the
    four is computed once.

    Args:
      brightness: Its factor is uniform in [max(0, 1 − b), 1 + b].
      contrast: The same.
      saturation: The same.
      hue: The wheel is turned by a share in [−h, h]; at most 0.5.

    References:
      Howard, `Some Improvements on Deep Convolutional Neural Network Based Image
      Classification <https://arxiv.org/abs/1312.5402>`_, 2013.
    """
    if min(brightness, contrast, saturation, hue) < 0 or hue > 0.5:
        given = (brightness, contrast, saturation, hue)
        raise ValueError(f"jitter is {given}: expected no less than 0, hue up to 0.5.")

    changes = [
        _drawn(function, max(0, 1 - amount), 1 + amount)
        for function, amount in (
            (pixel_operations.brightness, brightness),
            (pixel_operations.contrast, contrast),
            (pixel_operations.saturation, saturation),
        )
        if amount
    ]
    if hue:
        changes.append(_drawn(pixel_operations.hue, -hue, hue))

    def jitter(key: Key, images: Array) -> Array:
        order_key, key = jax.random.split(key)
        for change in jax.random.permutation(order_key, len(changes)):
            key, change_key = jax.random.split(key)
            images = jax.lax.switch(change, changes, change_key, images)
        return images

    return jitter


def gaussian_noise(std: float) -> Augment:
    """Adds normal noise, to examples [B, ...] of any shape, images or not.

    For a linear model and squared errors it is, on average, a penalty on the squares
    of the weights.

    References:
      Bishop, `Training with Noise is Equivalent to Tikhonov Regularization
      <https://doi.org/10.1162/neco.1995.7.1.108>`_, 1995.
    """
    if std < 0:
        raise ValueError(f"std is {std}, but has to be at least 0.")
    return per_example(lambda key, x: x + std * jax.random.normal(key, x.shape))


def normalize(mean: Sequence[float], std: Sequence[float]) -> Augment:
    """Shifts and scales each channel: (x − mean) / std.

    Evaluation has to see it too: ``objectives.augmented(..., evaluation=True)``.

    Args:
      mean: Of each channel, [C].
      std: Of each channel, [C].
    """
    if len(mean) != len(std) or not all(value > 0 for value in std):
        raise ValueError(
            f"mean is {mean}, std {std}: expected as many, and std above 0."
        )

    def shift(key: Key, images: Array) -> Array:
        del key  # Nothing is random here.
        check_floats(images)
        if images.shape[-1] != len(mean):
            raise ValueError(
                f"mean has {len(mean)} channels, but images have {images.shape[-1]}."
            )
        shape = (1,) * (images.ndim - 1) + (len(mean),)
        center, scale = (jnp.array(x, jnp.float32).reshape(shape) for x in (mean, std))
        return ((images - center) / scale).astype(images.dtype)

    return shift


def _drawn(function, low: float, high: float) -> Augment:
    """A function of an image and a number, which is drawn from a range."""

    def change(key, image):
        return function(image, jax.random.uniform(key, minval=low, maxval=high))

    return per_image(change)
