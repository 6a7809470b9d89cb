"""Image augmentations: ``augment(key, images) -> images``, on the device, in pure JAX.

Images are float [B, H, W, C] in [0, 1] and keep their dtype. Each image of a batch is
augmented independently, as a function of the key and of its index in the batch alone.
`fdl.objectives.augmented` applies an augmentation in training; `mixup` and `cutmix`
act on whole batches, with labels, for `fdl.objectives.mixed`. `word_dropout` is of
tokens.
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
from fdl.data.augment.masking import masking_noise
from fdl.data.augment.mixup import cutmix, mixup
from fdl.data.augment.rand_augment import rand_augment
from fdl.data.augment.word_dropout import word_dropout

__all__ = [
    "Augment",
    "affine",
    "color_jitter",
    "compose",
    "cutmix",
    "cutout",
    "gaussian_noise",
    "horizontal_flip",
    "masking_noise",
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
    "word_dropout",
]
