"""Augmentations drawn from a list of them."""

import math

import jax
import jax.numpy as jnp

from fdl.data.augment import pixel_operations
from fdl.data.augment.composition import Augment, per_image
from fdl.data.augment.warp import affine_matrix, warp
from fdl.types import Array

STRONGEST = 30

# What moves the image comes first: all of that is one warp.
OPERATIONS = (
    *("shear_x", "shear_y", "translate_x", "translate_y", "rotate"),
    *("identity", "brightness", "saturation", "contrast", "sharpness"),
    *("posterize", "solarize", "autocontrast", "equalize"),
)
NUM_MOVES = 5


def rand_augment(
    num_operations: int = 2, magnitude: float = 9.0, *, fill: float = 0.0
) -> Augment:
    """Some operations out of fourteen, drawn for each image, all of one strength.

    They are identity, shearing and shifting along x and y, rotation, brightness,
    saturation, contrast, sharpness, posterizing, solarizing, automatic contrast and
    equalizing, in the ranges of torchvision.

    Args:
      num_operations: How many, one after the other.
      magnitude: How strong, from 0 to 30.
      fill: What comes in from outside.

    References:
      Cubuk et al., `RandAugment: Practical Automated Data Augmentation with a Reduced
      Search Space <https://arxiv.org/abs/1909.13719>`_, 2019.
    """
    if not 0 <= magnitude <= STRONGEST:
        raise ValueError(f"magnitude is {magnitude}, but has to be in [0, 30].")
    if num_operations < 0:
        raise ValueError(f"num_operations is {num_operations}: expected at least 0.")
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
    """One of the operations of `rand_augment`.

    Args:
      image: Float [H, W, C].
      operation: Its place in ``OPERATIONS``.
      sign: 1 or −1: which way it goes, where there are two.
      strength: From 0 to 1.
      fill: What comes in from outside.
    """
    factor = 1 + 0.9 * strength * sign
    branches = [
        lambda x: warp(x, _move(x, operation, sign * strength), fill),
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


def _move(image: Array, operation: Array | int, level: Array | float) -> Array:
    """The matrix of one of the operations that move the image."""
    height, width, _ = image.shape
    corner = (-width / 2, -height / 2)  # Shearing keeps the upper left one.
    slant = jnp.arctan(0.3 * level) * 180 / math.pi
    most = 150 / 331 * level
    moves = jnp.stack(
        [
            affine_matrix(shear=(slant, 0.0), center=corner),
            affine_matrix(shear=(0.0, slant), center=corner),
            affine_matrix(translate=(jnp.trunc(most * width), 0.0)),
            affine_matrix(translate=(0.0, jnp.trunc(most * height))),
            affine_matrix(-30 * level),
        ]
    )
    return moves[jnp.minimum(operation, NUM_MOVES - 1)]
