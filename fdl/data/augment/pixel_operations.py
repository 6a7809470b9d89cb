"""Images in other colours: functions of one image, float [H, W, C] in [0, 1].

All of them are those of torchvision for floats. What is about colours wants three
channels, and leaves a single one as it is.
"""

import jax
import jax.numpy as jnp

from fdl.types import Array

Number = Array | float

BINS = 256  # Shades that `equalize` tells apart.


def brightness(image: Array, factor: Number) -> Array:
    """Multiplies by a factor: 0 is black, 1 changes nothing."""
    return jnp.clip(image * factor, 0, 1)


def contrast(image: Array, factor: Number) -> Array:
    """Moves away from the mean shade of the image, or towards it: 0 is flat grey."""
    return _blend(image, jnp.broadcast_to(gray(image).mean(), image.shape), factor)


def saturation(image: Array, factor: Number) -> Array:
    """Moves away from the shades of grey, or towards them: 0 has no colours."""
    if image.shape[-1] == 1:
        return image
    return _blend(image, jnp.broadcast_to(gray(image), image.shape), factor)


def hue(image: Array, shift: Number) -> Array:
    """Turns the wheel of colours by a share of it: 0.5 gives the complements."""
    if image.shape[-1] == 1:
        return image
    _check(image)
    value, least = image.max(axis=-1), image.min(axis=-1)
    spread = value - least
    red, green, blue = jnp.moveaxis(image, -1, 0)
    divisor = jnp.where(spread == 0, 1, spread)
    angle = jnp.select(
        [value == red, value == green],
        [(green - blue) / divisor, 2 + (blue - red) / divisor],
        4 + (red - green) / divisor,
    )
    turns = jnp.mod(angle / 6 + shift, 1)
    # Each channel is a trapezium over the wheel: value, down to the least, and up.
    offsets = jnp.broadcast_to(jnp.array([5.0, 3.0, 1.0]), image.shape)
    k = jnp.mod(offsets + 6 * turns[..., None], 6)
    depth = jnp.clip(jnp.minimum(k, 4 - k), 0, 1)
    return value[..., None] - spread[..., None] * depth


def sharpness(image: Array, factor: Number) -> Array:
    """Moves away from a smoothed image, or towards it; its border stays."""
    if min(image.shape[:2]) <= 2:
        return image
    rows = image[:-2] + image[1:-1] + image[2:]
    around = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    smooth = (around + 4 * image[1:-1, 1:-1]) / 13
    return _blend(image, image.at[1:-1, 1:-1].set(smooth), factor)


def posterize(image: Array, bits: Number) -> Array:
    """Keeps so many bits of each channel, rounding down."""
    levels = jnp.exp2(jnp.asarray(bits, image.dtype))
    return jnp.clip(jnp.floor(image * levels), 0, levels - 1) / levels


def solarize(image: Array, threshold: Number) -> Array:
    """Inverts what is at least so bright."""
    return jnp.where(image >= threshold, 1 - image, image)


def autocontrast(image: Array) -> Array:
    """Stretches each channel from 0 to 1; a constant one stays."""
    least = image.min(axis=(0, 1), keepdims=True)
    spread = image.max(axis=(0, 1), keepdims=True) - least
    flat = spread == 0
    stretched = (image - least) / jnp.where(flat, 1, spread)
    return jnp.where(flat, image, jnp.clip(stretched, 0, 1))


def equalize(image: Array) -> Array:
    """Makes all shades of each channel about equally frequent, in 256 steps."""
    shades = jnp.floor(image * (BINS - 1e-3)).astype(jnp.int32)

    def channel(values):
        counts = jnp.zeros(BINS, jnp.int32).at[values].add(1)
        # What the brightest shade holds stays at the top.
        step = (values.size - counts[values.max()]) // (BINS - 1)
        before = jnp.cumsum(counts) - counts
        table = (before + step // 2) // jnp.maximum(step, 1)
        return jnp.where(step == 0, values, jnp.clip(table, 0, BINS - 1)[values])

    equal = jax.vmap(channel, in_axes=-1, out_axes=-1)(shades)
    return equal.astype(image.dtype) / (BINS - 1)


def gray(image: Array) -> Array:
    """Shades of grey [H, W, 1] as the eye sees them, by ITU-R BT.601."""
    if image.shape[-1] == 1:
        return image
    _check(image)
    red, green, blue = jnp.moveaxis(image, -1, 0)
    return (0.2989 * red + 0.587 * green + 0.114 * blue)[..., None]


def _blend(image: Array, other: Array, factor: Number) -> Array:
    return jnp.clip(factor * image + (1 - factor) * other, 0, 1)


def _check(image: Array) -> None:
    if image.shape[-1] != 3:
        raise ValueError(f"colours need 1 or 3 channels, there are {image.shape[-1]}.")
