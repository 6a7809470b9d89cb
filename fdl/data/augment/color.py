"""Augmentations of colours and of values: jitter, noise and normalisation."""

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
from fdl.errors import UserError
from fdl.types import Array, Key


def color_jitter(
    brightness: float = 0.0,
    contrast: float = 0.0,
    saturation: float = 0.0,
    hue: float = 0.0,
) -> Augment:
    """Random changes of brightness, contrast, saturation and hue, in random order.

    Amounts are drawn for each image. The order is drawn once per batch, so that each of
    the four is computed once.

    Args:
      brightness: b; its factor is uniform in [max(0, 1 − b), 1 + b].
      contrast: The same for contrast.
      saturation: The same for saturation.
      hue: h, at most 0.5; the shift in turns of the colour wheel is uniform in [−h, h].

    Raises:
      UserError: An amount is negative, or the hue above 0.5.

    References:
      Howard, `Some Improvements on Deep Convolutional Neural Network Based Image
      Classification <https://arxiv.org/abs/1312.5402>`_, 2013.
    """
    if min(brightness, contrast, saturation, hue) < 0 or hue > 0.5:
        raise UserError(
            f"brightness={brightness}, contrast={contrast}, saturation={saturation}, "
            f"hue={hue}: expected at least 0, and a hue of at most 0.5"
        )

    changes = [
        _with_random_factor(function, max(0, 1 - amount), 1 + amount)
        for function, amount in (
            (pixel_operations.brightness, brightness),
            (pixel_operations.contrast, contrast),
            (pixel_operations.saturation, saturation),
        )
        if amount
    ]
    if hue:
        changes.append(_with_random_factor(pixel_operations.hue, -hue, hue))

    def jitter(key: Key, images: Array) -> Array:
        order_key, key = jax.random.split(key)
        for change in jax.random.permutation(order_key, len(changes)):
            key, change_key = jax.random.split(key)
            images = jax.lax.switch(change, changes, change_key, images)
        return images

    return jitter


def gaussian_noise(std: float) -> Augment:
    """Additive Gaussian noise, for examples [B, ...] of any shape.

    For a linear model and the squared error, its expectation is an L2 penalty on the
    weights.

    Args:
      std: Standard deviation.

    Raises:
      UserError: ``std`` is negative.

    References:
      Bishop, `Training with Noise is Equivalent to Tikhonov Regularization
      <https://doi.org/10.1162/neco.1995.7.1.108>`_, 1995.
    """
    if std < 0:
        raise UserError(f"std={std}: expected at least 0")
    return per_example(lambda key, x: x + std * jax.random.normal(key, x.shape))


def normalize(mean: Sequence[float], std: Sequence[float]) -> Augment:
    """Normalises each channel: (x − mean) / std.

    Evaluation needs it too: ``objectives.augmented(..., evaluation=True)``.

    Args:
      mean: Mean of each channel, [C].
      std: Standard deviation of each channel, [C].

    Raises:
      UserError: Lengths differ, or a deviation is not positive; by the function that is
        returned, images have another number of channels.
    """
    if len(mean) != len(std) or not all(value > 0 for value in std):
        raise UserError(
            f"mean={mean}, std={std}: expected equal lengths, and std above 0"
        )

    def shift(key: Key, images: Array) -> Array:
        del key  # Normalisation is not random.
        check_floats(images)
        if images.shape[-1] != len(mean):
            raise UserError(
                f"images.shape={list(images.shape)}: expected {len(mean)} channels, as "
                "many as mean has"
            )
        shape = (1,) * (images.ndim - 1) + (len(mean),)
        center, scale = (jnp.array(x, jnp.float32).reshape(shape) for x in (mean, std))
        return ((images - center) / scale).astype(images.dtype)

    return shift


def _with_random_factor(function, low: float, high: float) -> Augment:
    """Augmentation by a function of an image and a number, uniform in a range."""

    def change(key, image):
        return function(image, jax.random.uniform(key, minval=low, maxval=high))

    return per_image(change)
