"""Random boxes inside an image."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from fdl.types import Array, Key

ATTEMPTS = 10


class Box(NamedTuple):
    """Part of an image, in pixels."""

    top: Array
    left: Array
    height: Array
    width: Array

    def mask(self, height: int, width: int) -> Array:
        """Which pixels lie in it, bool [H, W]."""
        y, x = jnp.arange(height)[:, None], jnp.arange(width)[None]
        rows = (y >= self.top) & (y < self.top + self.height)
        columns = (x >= self.left) & (x < self.left + self.width)
        return jnp.broadcast_to(rows, (height, width)) & jnp.broadcast_to(
            columns, (height, width)
        )


def random_box(
    key: Key,
    height: int,
    width: int,
    scale: tuple[float, float],
    ratio: tuple[float, float],
    *,
    smaller: bool = False,
) -> tuple[Box, Array]:
    """A box that covers some share of an image, anywhere in it.

    Its share is uniform, and so is the logarithm of its ratio of width to height. Of
    ten such, the first one that fits is taken.

    Args:
      key: Of the draw.
      height: Of the image.
      width: Of the image.
      scale: Least and largest share.
      ratio: Least and largest ratio of width to height.
      smaller: Whether the box has to be smaller than the image, both ways.

    Returns:
      The box, and whether any fitted.
    """
    share_key, ratio_key, top_key, left_key = jax.random.split(key, 4)
    share = _uniform(share_key, *scale) * (height * width)
    aspect = jnp.exp(_uniform(ratio_key, *map(math.log, ratio)))
    heights = jnp.round(jnp.sqrt(share / aspect)).astype(jnp.int32)
    widths = jnp.round(jnp.sqrt(share * aspect)).astype(jnp.int32)
    fits = (heights > 0) & (heights <= height - smaller)
    fits &= (widths > 0) & (widths <= width - smaller)
    first = jnp.argmax(fits)
    high, wide = heights[first], widths[first]
    top = jax.random.randint(top_key, (), 0, jnp.maximum(height - high, 0) + 1)
    left = jax.random.randint(left_key, (), 0, jnp.maximum(width - wide, 0) + 1)
    return Box(top, left, high, wide), fits.any()


def central_box(height: int, width: int, ratio: tuple[float, float]) -> Box:
    """The largest box in the middle of an image whose ratio is in the range."""
    wide, high = width, height
    if width < ratio[0] * height:
        high = round(width / ratio[0])
    elif width > ratio[1] * height:
        wide = round(height * ratio[1])
    box = (height - high) // 2, (width - wide) // 2, high, wide
    return Box(*(jnp.asarray(number, jnp.int32) for number in box))


def check_ranges(scale: tuple[float, float], ratio: tuple[float, float]) -> None:
    """Raises `ValueError` if these are no ranges of shares and ratios."""
    if not 0 < scale[0] <= scale[1] <= 1:
        raise ValueError(f"scale is {scale}: expected 0 < least ≤ largest ≤ 1.")
    if not 0 < ratio[0] <= ratio[1]:
        raise ValueError(f"ratio is {ratio}: expected 0 < least ≤ largest.")


def _uniform(key: Key, low: float, high: float) -> Array:
    return jax.random.uniform(key, (ATTEMPTS,), minval=low, maxval=high)
