"""Augmentations: ``augment(key, images) -> images``, on the device, in pure JAX.

Images are float [B, H, W, C] in [0, 1] and keep their type. Each image of a batch is
changed in its own way, which depends on the key and on its place in the batch alone.
`fdl.objectives.augmented` puts an augmentation before the training of an objective;
`mixup` and `cutmix` are of whole batches, for `fdl.objectives.mixed`.
"""

from fdl.data.augment.color import color_jitter, gaussian_noise, normalize
from fdl.data.augment.composition import Augment, compose, one_of, sometimes
from fdl.data.augment.erasing import cutout, random_erasing
from fdl.data.augment.geometric import (
    affine,
    horizontal_flip,
    pad_crop,
    resized_crop,
    rotation,
    vertical_flip,
)
from fdl.data.augment.mixup import cutmix, mixup
from fdl.data.augment.rand_augment import rand_augment

__all__ = [
    "Augment",
    "affine",
    "color_jitter",
    "compose",
    "cutmix",
    "cutout",
    "gaussian_noise",
    "horizontal_flip",
    "mixup",
    "normalize",
    "one_of",
    "pad_crop",
    "rand_augment",
    "random_erasing",
    "resized_crop",
    "rotation",
    "sometimes",
    "vertical_flip",
]
