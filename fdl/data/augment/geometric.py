"""Augmentations of where things are in an image."""

import jax
import jax.numpy as jnp

from fdl.data.augment.boxes import Box, central_box, check_ranges, random_box
from fdl.data.augment.composition import Augment, check_probability, per_image
from fdl.data.augment.warp import affine_matrix, crop_and_resize, warp

Range = tuple[float, float]


def horizontal_flip(probability: float = 0.5) -> Augment:
    """Left becomes right, with some probability."""
    return _flip(1, probability)


def vertical_flip(probability: float = 0.5) -> Augment:
    """Top becomes bottom, with some probability."""
    return _flip(0, probability)


def pad_crop(padding: int = 4, *, mode: str = "constant") -> Augment:
    """Shifts by up to ``padding`` pixels in each direction, all equally likely.

    Args:
      padding: Pixels.
      mode: What comes in from outside: zeros, or what `jax.numpy.pad` knows, as
        "reflect" and "edge".

    References:
      He et al., `Deep Residual Learning for Image Recognition
      <https://arxiv.org/abs/1512.03385>`_, 2015, section 4.2.
    """
    if padding < 0:
        raise ValueError(f"padding is {padding}, but has to be at least 0.")

    def crop(key, image):
        around = jnp.pad(image, ((padding, padding), (padding, padding), (0, 0)), mode)
        top, left = jax.random.randint(key, (2,), 0, 2 * padding + 1)
        return jax.lax.dynamic_slice(around, (top, left, 0), image.shape)

    return per_image(crop)


def resized_crop(
    size: tuple[int, int] | None = None,
    *,
    scale: Range = (0.08, 1.0),
    ratio: Range = (3 / 4, 4 / 3),
) -> Augment:
    """Some part of the image, resized: other sizes, places and proportions.

    Args:
      size: Height and width of the result. Default: as before.
      scale: Least and largest share of the image that is kept.
      ratio: Least and largest ratio of width to height of the part.

    References:
      Szegedy et al., `Going Deeper with Convolutions
      <https://arxiv.org/abs/1409.4842>`_, 2014, section 6.
    """
    check_ranges(scale, ratio)
    if isinstance(size, int):
        raise ValueError(f"size is {size}: expected height and width.")

    def crop(key, image):
        height, width, _ = image.shape
        drawn, fits = random_box(key, height, width, scale, ratio)
        whole = central_box(height, width, ratio)
        box = Box(*(jnp.where(fits, a, b) for a, b in zip(drawn, whole, strict=True)))
        return crop_and_resize(image, box, size or (height, width))

    return per_image(crop)


def rotation(degrees: float, *, fill: float = 0.0) -> Augment:
    """Turns around the centre by up to this angle, to both sides; bilinear.

    Args:
      degrees: The largest angle.
      fill: What comes in from outside.
    """
    return affine(degrees, fill=fill)


def affine(
    degrees: float = 0.0,
    *,
    translate: Range = (0.0, 0.0),
    scale: Range = (1.0, 1.0),
    shear: Range = (0.0, 0.0),
    fill: float = 0.0,
) -> Augment:
    """Turns, shifts, scales and shears around the centre, all uniformly; bilinear.

    Args:
      degrees: The largest angle, to both sides.
      translate: The largest shift, as a share of width and of height.
      scale: Smallest and largest factor.
      shear: The largest angles of shearing, along x and along y, in degrees.
      fill: What comes in from outside.

    Raises:
      ValueError: These are no pairs of such numbers.
    """
    for name, pair in (("translate", translate), ("scale", scale), ("shear", shear)):
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise ValueError(f"{name} is {pair!r}: expected two numbers.")
    if not 0 <= min(translate) <= max(translate) <= 1:
        raise ValueError(
            f"translate is {translate}: expected shares of the image, from 0 to 1."
        )
    if not 0 < scale[0] <= scale[1]:
        raise ValueError(f"scale is {scale}: expected 0 < smallest ≤ largest.")

    def move(key, image):
        height, width, _ = image.shape
        most = jnp.array([degrees, translate[0] * width, translate[1] * height, *shear])
        move_key, scale_key = jax.random.split(key)
        angle, right, down, *shears = most * jax.random.uniform(
            move_key, most.shape, minval=-1, maxval=1
        )
        factor = jax.random.uniform(scale_key, minval=scale[0], maxval=scale[1])
        matrix = affine_matrix(angle, (right, down), factor, (shears[0], shears[1]))
        return warp(image, matrix, fill)

    return per_image(move)


def _flip(axis: int, probability: float) -> Augment:
    check_probability(probability)

    def flip(key, image):
        flipped = jax.random.bernoulli(key, probability)
        return jnp.where(flipped, jnp.flip(image, axis), image)

    return per_image(flip)
