"""Augmentations that take a part of the image away."""

import jax
import jax.numpy as jnp

from fdl.data.augment.boxes import Box, check_ranges, random_box
from fdl.data.augment.composition import Augment, check_probability, per_image

Range = tuple[float, float]


def cutout(size: int, *, fill: float = 0.0) -> Augment:
    """Fills a square; its centre is any pixel, and what lies outside is cut off.

    Args:
      size: Its side in pixels.
      fill: What with. With the mean of all images (zero after `normalize`), the mean
        of what a model sees stays as it is.

    References:
      DeVries and Taylor, `Improved Regularization of Convolutional Neural Networks
      with Cutout <https://arxiv.org/abs/1708.04552>`_, 2017.
    """
    if size < 1:
        raise ValueError(f"size is {size}, but has to be at least 1.")

    def cut(key, image):
        height, width, _ = image.shape
        place = jax.random.randint(key, (2,), 0, jnp.array([height, width]))
        top, left = place - size // 2
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
    """Fills a box of random size and proportions, with some probability.

    Args:
      probability: Of an image to lose anything.
      scale: Least and largest share of the image that is lost.
      ratio: Least and largest ratio of width to height of the box.
      fill: What with; None for noise, which is normal with mean 0 and deviation 1,
        and so belongs behind `normalize`.

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
