"""Random boxes inside an image."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from fdl.errors import UserError
from fdl.types import Array, Key

ATTEMPTS = 10  # As in torchvision.


class Box(NamedTuple):
    """Box of an image, in pixels.

    Attributes:
      top: Index of the first row, int [].
      left: Index of the first column, int [].
      height: Number of rows, int [].
      width: Number of columns, int [].
    """

    top: Array
    left: Array
    height: Array
    width: Array

    def mask(self, height: int, width: int) -> Array:
        """Mask of the pixels inside the box, bool [H, W]."""
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
    """Random box of a given range of areas and aspect ratios, anywhere in an image.

    The area is uniform, and so is the logarithm of the ratio of width to height. Ten
    boxes are drawn, and the first that fits into the image is taken.

    Args:
      key: Random key.
      height: Height of the image.
      width: Width of the image.
      scale: Smallest and largest area, as a share of the image.
      ratio: Smallest and largest ratio of width to height.
      smaller: True if the box has to be smaller than the image along both axes.

    Returns:
      The box, and a bool [] that is True if any fitted; otherwise the box is not valid.
    """
    share_key, ratio_key, top_key, left_key = jax.random.split(key, 4)
    share = _uniform(share_key, *scale) * (height * width)
    aspect = jnp.exp(_uniform(ratio_key, *map(math.log, ratio)))
    heights = jnp.round(jnp.sqrt(share / aspect)).astype(jnp.int32)
    widths = jnp.round(jnp.sqrt(share * aspect)).astype(jnp.int32)
    fits = (heights > 0) & (heights <= height - smaller)
    fits &= (widths > 0) & (widths <= width - smaller)
    # All attempts are drawn at once, in place of a loop of random length. `argmax`
    # takes the first True.
    first = jnp.argmax(fits)
    high, wide = heights[first], widths[first]
    # If none fits, the difference may be negative, which is no range to draw from.
    top = jax.random.randint(top_key, (), 0, jnp.maximum(height - high, 0) + 1)
    left = jax.random.randint(left_key, (), 0, jnp.maximum(width - wide, 0) + 1)
    return Box(top, left, high, wide), fits.any()


def central_box(height: int, width: int, ratio: tuple[float, float]) -> Box:
    """Largest central box of an image whose aspect ratio is in a range.

    Args:
      height: Height of the image.
      width: Width of the image.
      ratio: Smallest and largest ratio of width to height.
    """
    wide, high = width, height
    if width < ratio[0] * height:
        high = round(width / ratio[0])
    elif width > ratio[1] * height:
        wide = round(height * ratio[1])
    box = (height - high) // 2, (width - wide) // 2, high, wide
    return Box(*(jnp.asarray(number, jnp.int32) for number in box))


def check_ranges(scale: tuple[float, float], ratio: tuple[float, float]) -> None:
    """Raises `UserError` if ranges of areas or of aspect ratios are not valid."""
    if not 0 < scale[0] <= scale[1] <= 1:
        raise UserError(f"scale={scale}: expected 0 < smallest ≤ largest ≤ 1")
    if not 0 < ratio[0] <= ratio[1]:
        raise UserError(f"ratio={ratio}: expected 0 < smallest ≤ largest")


def _uniform(key: Key, low: float, high: float) -> Array:
    return jax.random.uniform(key, (ATTEMPTS,), minval=low, maxval=high)
