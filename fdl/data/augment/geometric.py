"""Geometric augmentations: flips, crops and affine maps."""

import jax
import jax.numpy as jnp

from fdl.data.augment.boxes import Box, central_box, check_ranges, random_box
from fdl.data.augment.composition import Augment, check_probability, per_image
from fdl.data.augment.warp import affine_matrix, crop_and_resize, warp
from fdl.errors import UserError

Range = tuple[float, float]


def horizontal_flip(probability: float = 0.5) -> Augment:
    """Random horizontal flip.

    Args:
      probability: Probability of a flip, for each image.
    """
    return _flip(1, probability)


def vertical_flip(probability: float = 0.5) -> Augment:
    """Random vertical flip.

    Args:
      probability: Probability of a flip, for each image.
    """
    return _flip(0, probability)


def pad_crop(padding: int = 4, *, mode: str = "constant") -> Augment:
    """Random crop of the padded image, at its original size.

    It shifts by up to ``padding`` pixels in each direction, uniformly.

    Args:
      padding: Number of pixels on each side.
      mode: Mode of `jax.numpy.pad`: "constant" for zeros, "reflect", "edge", etc.

    Raises:
      UserError: ``padding`` is negative.

    References:
      He et al., `Deep Residual Learning for Image Recognition
      <https://arxiv.org/abs/1512.03385>`_, 2015, section 4.2.
    """
    if padding < 0:
        raise UserError(f"padding={padding}: expected at least 0")

    def crop(key, image):
        padded = jnp.pad(image, ((padding, padding), (padding, padding), (0, 0)), mode)
        top, left = jax.random.randint(key, (2,), 0, 2 * padding + 1)
        return jax.lax.dynamic_slice(padded, (top, left, 0), image.shape)

    return per_image(crop)


def resized_crop(
    size: tuple[int, int] | None = None,
    *,
    scale: Range = (0.08, 1.0),
    ratio: Range = (3 / 4, 4 / 3),
) -> Augment:
    """Random resized crop: a box of random area and aspect ratio, resized bilinearly.

    Args:
      size: Height and width of the result. Default: those of the image.
      scale: Smallest and largest area of the box, as a share of the image.
      ratio: Smallest and largest ratio of width to height of the box.

    Raises:
      UserError: A range or the size is not valid.

    References:
      Szegedy et al., `Going Deeper with Convolutions
      <https://arxiv.org/abs/1409.4842>`_, 2014, section 6.
    """
    check_ranges(scale, ratio)
    if isinstance(size, int):
        raise UserError(f"size={size}: expected height and width")

    def crop(key, image):
        height, width, _ = image.shape
        drawn, fits = random_box(key, height, width, scale, ratio)
        # As in torchvision, if none of the random boxes fits.
        fallback = central_box(height, width, ratio)
        pairs = zip(drawn, fallback, strict=True)
        box = Box(*(jnp.where(fits, a, b) for a, b in pairs))
        return crop_and_resize(image, box, size or (height, width))

    return per_image(crop)


def rotation(degrees: float, *, fill: float = 0.0) -> Augment:
    """Random rotation about the centre, with bilinear interpolation.

    Args:
      degrees: Largest angle, in both directions.
      fill: Value of pixels from outside the image.
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
    """Random affine map about the centre, with bilinear interpolation.

    Rotation, translation, scale and shear are uniform in their ranges.

    Args:
      degrees: Largest angle of rotation, in both directions.
      translate: Largest translation, as a share of the width and of the height.
      scale: Smallest and largest factor.
      shear: Largest angles of shear along x and along y, in degrees.
      fill: Value of pixels from outside the image.

    Raises:
      UserError: A range is not valid.
    """
    for name, pair in (("translate", translate), ("scale", scale), ("shear", shear)):
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise UserError(f"{name}={pair!r}: expected two numbers")
    if not 0 <= min(translate) <= max(translate) <= 1:
        raise UserError(
            f"translate={translate}: expected shares of the image, from 0 to 1"
        )
    if not 0 < scale[0] <= scale[1]:
        raise UserError(f"scale={scale}: expected 0 < smallest ≤ largest")

    def move(key, image):
        height, width, _ = image.shape
        limits = jnp.array(
            [degrees, translate[0] * width, translate[1] * height, *shear]
        )
        move_key, scale_key = jax.random.split(key)
        angle, right, down, *shears = limits * jax.random.uniform(
            move_key, limits.shape, minval=-1, maxval=1
        )
        factor = jax.random.uniform(scale_key, minval=scale[0], maxval=scale[1])
        matrix = affine_matrix(angle, (right, down), factor, (shears[0], shears[1]))
        return warp(image, matrix, fill)

    return per_image(move)


def _flip(axis: int, probability: float) -> Augment:
    """Random flip along an axis of an image [H, W, C]."""
    check_probability(probability)

    def flip(key, image):
        flipped = jax.random.bernoulli(key, probability)
        return jnp.where(flipped, jnp.flip(image, axis), image)

    return per_image(flip)
