"""Cutout and random erasing."""

import jax
import jax.numpy as jnp

from fdl.data.augment.boxes import Box, check_ranges, random_box
from fdl.data.augment.composition import Augment, check_probability, per_image
from fdl.errors import UserError

Range = tuple[float, float]


def cutout(size: int, *, fill: float = 0.0) -> Augment:
    """Cutout: fills a random square.

    Its centre is any pixel, and the square is clipped at the border.

    Args:
      size: Side of the square in pixels.
      fill: Value of its pixels. The mean of all images, which is 0 after `normalize`,
        leaves the mean of the inputs as it is.

    Raises:
      UserError: ``size`` is not positive.

    References:
      DeVries and Taylor, `Improved Regularization of Convolutional Neural Networks
      with Cutout <https://arxiv.org/abs/1708.04552>`_, 2017.
    """
    if size < 1:
        raise UserError(f"size={size}: expected at least 1")

    def cut(key, image):
        height, width, _ = image.shape
        center = jax.random.randint(key, (2,), 0, jnp.array([height, width]))
        top, left = center - size // 2
        mask = Box(top, left, jnp.asarray(size), jnp.asarray(size)).mask(height, width)
        return jnp.where(mask[..., None], fill, image)

    return per_image(cut)


def random_erasing(
    probability: float = 0.5,
    *,
    scale: Range = (0.02, 0.33),
    ratio: Range = (0.3, 3.3),
    fill: float | None = 0.0,
) -> Augment:
    """Random erasing: fills a box of random area and aspect ratio.

    Args:
      probability: Probability of erasing, for each image.
      scale: Smallest and largest area of the box, as a share of the image.
      ratio: Smallest and largest ratio of width to height of the box.
      fill: Value of its pixels; None for standard normal noise, which is meant for
        images after `normalize`.

    Raises:
      UserError: The probability or a range is not valid.

    References:
      Zhong et al., `Random Erasing Data Augmentation
      <https://arxiv.org/abs/1708.04896>`_, 2017.
    """
    check_probability(probability)
    check_ranges(scale, ratio)

    def erase(key, image):
        height, width, _ = image.shape
        choice_key, box_key, noise_key = jax.random.split(key, 3)
        box, fits = random_box(box_key, height, width, scale, ratio, smaller=True)
        erased = fits & jax.random.bernoulli(choice_key, probability)
        mask = box.mask(height, width)[..., None] & erased
        if fill is None:
            return jnp.where(mask, jax.random.normal(noise_key, image.shape), image)
        return jnp.where(mask, fill, image)

    return per_image(erase)
