"""Data augmentation and mixing (mixup, CutMix) inside of an objective."""

from typing import Any

import jax

from fdl.data.augment import Augment
from fdl.objectives import supervised
from fdl.types import Objective


def augmented(
    objective: Objective,
    augment: Augment,
    *,
    inputs: str = "image",
    evaluation: bool = False,
) -> Objective:
    """Data augmentation: an objective of randomly transformed inputs.

    The inputs of each batch are augmented on the device. In training, randomness comes
    from the key of the step, so that a run that is resumed, fused or trained over seeds
    has the same images; evaluation uses the inputs themselves.

    Args:
      objective: Objective to minimise.
      augment: Function of a key and the inputs, such as those of `fdl.data.augment`.
      inputs: Name of the inputs in a batch, float [B, ...].
      evaluation: Whether to augment in evaluation as well: for deterministic
        preprocessing such as `normalize`, which needs no key.

    Returns:
      An objective with the same metrics.

    Example:
      >>> from fdl.data.augment import compose, horizontal_flip, pad_crop
      >>> augment = compose(pad_crop(4), horizontal_flip())
      >>> objective = augmented(objective, augment)  # doctest: +SKIP
    """

    def with_inputs(variables, batch, key=None, *, train=False):
        if not train and not evaluation:
            return objective(variables, batch, key, train=train)
        augment_key: Any = None  # Evaluation may have none.
        if train or key is not None:
            # The objective is given a key of its own, so that nested augmentations and
            # dropout are independent of this one.
            augment_key, key = jax.random.split(key)
        augmented_inputs = augment(augment_key, supervised.take(batch, inputs))
        batch = {**batch, inputs: augmented_inputs}
        return objective(variables, batch, key, train=train)

    return with_inputs


def mixed(objective: Objective, mix: Augment) -> Objective:
    """Mixing of training examples and their labels, such as mixup and CutMix.

    Training metrics are those of the mixed examples: of labels that are distributions,
    the accuracy counts the most likely class. Evaluation is unchanged.

    Args:
      objective: Objective to minimise; its loss has to accept the mixed labels.
      mix: Function of a key and a batch, such as `fdl.data.augment.mixup`.

    Returns:
      An objective with the same metrics.
    """

    def with_batch(variables, batch, key=None, *, train=False):
        if train:
            mix_key, key = jax.random.split(key)
            batch = mix(mix_key, batch)
        return objective(variables, batch, key, train=train)

    return with_batch
