"""Photometric operations on one image, float [H, W, C] in [0, 1].

They are those of torchvision for floats. `saturation` and `hue` need three channels,
and leave an image of one channel as it is.
"""

import jax
import jax.numpy as jnp

from fdl.errors import UserError
from fdl.types import Array

Number = Array | float

BINS = 256  # Number of bins of the histogram of `equalize`.


def brightness(image: Array, factor: Number) -> Array:
    """Multiplies by a factor: 0 gives black, 1 the image itself."""
    return jnp.clip(image * factor, 0, 1)


def contrast(image: Array, factor: Number) -> Array:
    """Blends with the mean grey level by a factor: 0 gives flat grey, 1 the image."""
    return _blend(image, jnp.broadcast_to(gray(image).mean(), image.shape), factor)


def saturation(image: Array, factor: Number) -> Array:
    """Blends with the greyscale image by a factor: 0 gives grey, 1 the image."""
    if image.shape[-1] == 1:
        return image
    return _blend(image, jnp.broadcast_to(gray(image), image.shape), factor)


def hue(image: Array, shift: Number) -> Array:
    """Shifts the hue by a share of the colour wheel: 0.5 gives the complements."""
    if image.shape[-1] == 1:
        return image
    _check(image)
    # HSV without the saturation, which a shift of the hue does not change.
    value, least = image.max(axis=-1), image.min(axis=-1)
    spread = value - least
    red, green, blue = jnp.moveaxis(image, -1, 0)
    # Grey pixels have no hue; any finite one will do, as their spread is 0.
    divisor = jnp.where(spread == 0, 1, spread)
    angle = jnp.select(
        [value == red, value == green],
        [(green - blue) / divisor, 2 + (blue - red) / divisor],
        4 + (red - green) / divisor,
    )
    turns = jnp.mod(angle / 6 + shift, 1)
    # The inverse of HSV in closed form: over the colour wheel, each channel is a
    # trapezium between the largest and the least value, with an offset of its own.
    offsets = jnp.broadcast_to(jnp.array([5.0, 3.0, 1.0]), image.shape)
    k = jnp.mod(offsets + 6 * turns[..., None], 6)
    depth = jnp.clip(jnp.minimum(k, 4 - k), 0, 1)
    return value[..., None] - spread[..., None] * depth


def sharpness(image: Array, factor: Number) -> Array:
    """Blends with a smoothed image by a factor, except for the border: 0 smooths."""
    if min(image.shape[:2]) <= 2:
        return image
    rows = image[:-2] + image[1:-1] + image[2:]
    # The kernel has ones around a weight of 5 in the centre, of sum 13.
    around = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    smooth = (around + 4 * image[1:-1, 1:-1]) / 13
    return _blend(image, image.at[1:-1, 1:-1].set(smooth), factor)


def posterize(image: Array, bits: Number) -> Array:
    """Reduces each channel to a number of bits, rounding down."""
    levels = jnp.exp2(jnp.asarray(bits, image.dtype))
    return jnp.clip(jnp.floor(image * levels), 0, levels - 1) / levels


def solarize(image: Array, threshold: Number) -> Array:
    """Inverts pixels at or above a threshold."""
    return jnp.where(image >= threshold, 1 - image, image)


def autocontrast(image: Array) -> Array:
    """Stretches each channel to the range from 0 to 1; a constant one stays."""
    least = image.min(axis=(0, 1), keepdims=True)
    spread = image.max(axis=(0, 1), keepdims=True) - least
    flat = spread == 0
    stretched = (image - least) / jnp.where(flat, 1, spread)
    return jnp.where(flat, image, jnp.clip(stretched, 0, 1))


def equalize(image: Array) -> Array:
    """Equalises the histogram of each channel, in 256 bins."""
    # As torchvision converts floats to bytes: bins of equal width, with 1.0 in the
    # last.
    shades = jnp.floor(image * (BINS - 1e-3)).astype(jnp.int32)

    def channel(values):
        counts = jnp.zeros(BINS, jnp.int32).at[values].add(1)
        # As in Pillow, the pixels of the brightest bin do not count, so that it maps to
        # the end of the range.
        step = (values.size - counts[values.max()]) // (BINS - 1)
        before = jnp.cumsum(counts) - counts
        table = (before + step // 2) // jnp.maximum(step, 1)
        return jnp.where(step == 0, values, jnp.clip(table, 0, BINS - 1)[values])

    equal = jax.vmap(channel, in_axes=-1, out_axes=-1)(shades)
    return equal.astype(image.dtype) / (BINS - 1)


def gray(image: Array) -> Array:
    """Greyscale image [H, W, 1]: luma by ITU-R BT.601."""
    if image.shape[-1] == 1:
        return image
    _check(image)
    red, green, blue = jnp.moveaxis(image, -1, 0)
    return (0.2989 * red + 0.587 * green + 0.114 * blue)[..., None]


def _blend(image: Array, other: Array, factor: Number) -> Array:
    """Linear blend of two images, clipped to [0, 1]."""
    return jnp.clip(factor * image + (1 - factor) * other, 0, 1)


def _check(image: Array) -> None:
    if image.shape[-1] != 3:
        raise UserError(
            f"image.shape={list(image.shape)}: expected 1 or 3 channels for colours"
        )
