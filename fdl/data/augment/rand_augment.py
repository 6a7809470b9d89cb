"""RandAugment."""

import math

import jax
import jax.numpy as jnp

from fdl.data.augment import pixel_operations
from fdl.data.augment.composition import Augment, per_image
from fdl.data.augment.warp import affine_matrix, warp
from fdl.errors import UserError
from fdl.types import Array

STRONGEST = 30  # Largest magnitude; torchvision has 31 levels from 0.

# Geometric operations come first, because they share one branch of `operate`.
OPERATIONS = (
    *("shear_x", "shear_y", "translate_x", "translate_y", "rotate"),
    *("identity", "brightness", "saturation", "contrast", "sharpness"),
    *("posterize", "solarize", "autocontrast", "equalize"),
)
NUM_MOVES = 5


def rand_augment(
    num_operations: int = 2, magnitude: float = 9.0, *, fill: float = 0.0
) -> Augment:
    """RandAugment: random operations of a common magnitude, drawn for each image.

    They are drawn from identity, shear and translation along x and y, rotation,
    brightness, saturation, contrast, sharpness, posterize, solarize, autocontrast and
    equalize, in the ranges of torchvision.

    Args:
      num_operations: Number of operations, applied one after the other.
      magnitude: Magnitude of all operations, from 0 to 30.
      fill: Value of pixels from outside the image.

    Raises:
      UserError: A number is out of its range.

    References:
      Cubuk et al., `RandAugment: Practical Automated Data Augmentation with a Reduced
      Search Space <https://arxiv.org/abs/1909.13719>`_, 2019.
    """
    if not 0 <= magnitude <= STRONGEST:
        raise UserError(f"magnitude={magnitude}: expected 0 to {STRONGEST}")
    if num_operations < 0:
        raise UserError(f"num_operations={num_operations}: expected at least 0")
    strength = magnitude / STRONGEST

    def change(key, image):
        for draw in jax.random.split(key, num_operations):
            operation_key, sign_key = jax.random.split(draw)
            operation = jax.random.randint(operation_key, (), 0, len(OPERATIONS))
            sign = jnp.where(jax.random.bernoulli(sign_key), 1.0, -1.0)
            image = operate(image, operation, sign, strength, fill)
        return image

    return per_image(change)


def operate(
    image: Array, operation: Array | int, sign: Array | float, strength: float, fill=0.0
) -> Array:
    """Applies one of the operations of `rand_augment`.

    Args:
      image: Image, float [H, W, C].
      operation: Index of the operation in ``OPERATIONS``, int [].
      sign: 1 or −1, the direction of operations that have two.
      strength: Magnitude as a share of the largest, from 0 to 1.
      fill: Value of pixels from outside the image.
    """
    factor = 1 + 0.9 * strength * sign
    # Over a batch of images, `switch` computes all branches and selects: five warps
    # would cost five times as much as this one of a selected matrix.
    branches = [
        lambda x: warp(x, _warp_matrix(x, operation, sign * strength), fill),
        lambda x: x,
        lambda x: pixel_operations.brightness(x, factor),
        lambda x: pixel_operations.saturation(x, factor),
        lambda x: pixel_operations.contrast(x, factor),
        lambda x: pixel_operations.sharpness(x, factor),
        lambda x: pixel_operations.posterize(x, 8 - round(4 * strength)),
        lambda x: pixel_operations.solarize(x, 1 - strength),
        pixel_operations.autocontrast,
        pixel_operations.equalize,
    ]
    branch = jnp.maximum(operation - (NUM_MOVES - 1), 0)
    return jax.lax.switch(branch, branches, image)


def _warp_matrix(image: Array, operation: Array | int, level: Array | float) -> Array:
    """Matrix of a geometric operation for `warp`, float [2, 3]."""
    height, width, _ = image.shape
    corner = (-width / 2, -height / 2)  # Shear fixes the upper left corner.
    # Ranges of torchvision: a shear of tangent 0.3, shifts of 150 pixels in an image of
    # 331, rounded to whole pixels, and rotations by 30 degrees.
    slant = jnp.arctan(0.3 * level) * 180 / math.pi
    shift = 150 / 331 * level
    moves = jnp.stack(
        [
            affine_matrix(shear=(slant, 0.0), center=corner),
            affine_matrix(shear=(0.0, slant), center=corner),
            affine_matrix(translate=(jnp.trunc(shift * width), 0.0)),
            affine_matrix(translate=(0.0, jnp.trunc(shift * height))),
            affine_matrix(-30 * level),
        ]
    )
    return moves[jnp.minimum(operation, NUM_MOVES - 1)]
