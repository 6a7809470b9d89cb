"""Objectives whose examples are changed at random while training."""

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
    """Changes the inputs of each batch, on the device, before the objective sees them.

    Training draws from the key of the step, so that a run that is resumed, fused or
    trained over seeds sees the same images; evaluation sees them as they are.

    Args:
      objective: What to minimise.
      augment: Of a key and the inputs, say one of `fdl.data.augment`.
      inputs: Name of the inputs in a batch, float [B, ...].
      evaluation: Whether it happens in evaluation as well: for what is the same each
        time, as `normalize`, which needs no key.

    Returns:
      An objective that watches the same metrics.

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
            augment_key, key = jax.random.split(key)
        changed = augment(augment_key, supervised.take(batch, inputs))
        return objective(variables, {**batch, inputs: changed}, key, train=train)

    return with_inputs


def mixed(objective: Objective, mix: Augment) -> Objective:
    """Changes whole batches, labels and all, while training: mixup and cutmix.

    The training metrics are those of the mixed examples: where labels are
    distributions, the accuracy is that of the likelier class.

    Args:
      objective: What to minimise; its loss has to take the labels that ``mix`` makes.
      mix: Of a key and a batch, say `fdl.data.augment.mixup`.

    Returns:
      An objective that watches the same metrics, and evaluates as before.
    """

    def with_batch(variables, batch, key=None, *, train=False):
        if train:
            mix_key, key = jax.random.split(key)
            batch = mix(mix_key, batch)
        return objective(variables, batch, key, train=train)

    return with_batch
