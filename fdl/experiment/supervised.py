"""Supervised experiments, each part of which is said once."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from fdl import config as configs
from fdl import data, evaluation, objectives, optim
from fdl.data.load_splits import Splits
from fdl.data.preprocessing import Preprocessing, preprocessor
from fdl.data.sources import Source, num_examples
from fdl.evaluation import only_input
from fdl.learners import gradient_learner, refresh_statistics
from fdl.models import functional
from fdl.types import (
    Ability,
    Batches,
    Claim,
    Evaluate,
    Examples,
    Experiment,
    Model,
    Objective,
)

MAX_TEST_BATCH = 1024  # Of the evaluation, where the config does not say.


def supervised(
    config: Any,
    splits: Splits,
    preprocessing: Preprocessing,
    network: nn.Module,
    *,
    objective: Callable[..., Objective] = objectives.classification,
    ability: Callable[[Model, Preprocessing], Ability] = evaluation.classifier,
    training: Callable[[Model], Objective] | None = None,
    claims: Sequence[Claim] = (),
) -> Experiment:
    """Experiment of a network that is trained on labelled examples.

    Of the config it reads ``seed``, ``batch_size``, ``test_batch_size`` if there is
    one, ``optimizer``, arguments of `optim.chain`, and ``num_steps`` or ``num_epochs``.
    A part that differs is replaced: ``supervised(...)._replace(claims=...)``.

    Args:
      config: Config of the experiment.
      splits: Training, validation and test examples, encoded. Without a test split
        (None), as in cross-validation, there is no test.
      preprocessing: Preprocessing of the inputs.
      network: Flax module, of the preprocessed inputs.
      objective: Function of the model and ``inputs``, the name of the inputs in a
        batch, that makes the objective to evaluate.
      ability: Function of the model and the preprocessing that makes ``predict``.
      training: Function of the model that makes the objective to train with, if it is
        another: with augmentation, a penalty or smoothed labels.
      claims: Claims to test after training.

    Example:
      >>> import fdl
      >>> config = fdl.config.base()
      >>> config.update({"num_epochs": 1, "batch_size": 32, "optimizer": {}})
      >>> experiment = supervised(
      ...     config,
      ...     fdl.data.load_splits("digits"),
      ...     fdl.data.preprocessing.images((8, 8, 1), white=16),
      ...     fdl.models.MLP((16,), num_outputs=10),
      ... )
      >>> list(experiment.abilities)
      ['predict']
    """
    name, preprocess = only_input(preprocessing), preprocessor(preprocessing)
    model = functional(network, _example(preprocessing))
    measured = objective(model, inputs=name)
    batches = data.batches(splits.train, config.batch_size, config.seed)
    batches = data.transform(batches, preprocess)
    num_steps = configs.num_steps(config, batches.steps_per_epoch)
    optimizer = optim.chain(**config.optimizer, num_steps=num_steps)
    learner = gradient_learner(
        model,
        measured if training is None else training(model),
        optimizer,
        statistics=partial(refresh_statistics, model, batches=batches, inputs=name),
    )

    def evaluate(source: Source) -> Evaluate:
        held_out = _one_epoch(config, source)
        return evaluation.on_dataset(measured, held_out, preprocess=preprocess)

    test = splits.test
    return Experiment(
        learner=learner,
        batches=batches,
        evaluate=evaluate(splits.validation),
        test=None if test is None else evaluate(test),
        model=model,
        abilities={"predict": ability(model, preprocessing)},
        examples=Examples(
            _one_epoch(config, splits.validation if test is None else test),
            measured,
            preprocess,
        ),
        claims=claims,
    )


def _one_epoch(config: Any, source: Source) -> Batches:
    """Batches of held-out examples, in their order."""
    size = num_examples(source)
    batch_size = min(config.get("test_batch_size", MAX_TEST_BATCH), size)
    return data.batches(source, batch_size, shuffle=False)


def _example(preprocessing: Preprocessing) -> jax.Array:
    """Zeros like the preprocessed inputs of one example, with a leading axis."""
    name = only_input(preprocessing)
    batch = {
        key: jax.ShapeDtypeStruct((1, *spec.shape), spec.dtype)
        for key, spec in preprocessing.inputs.items()
    }
    spec = jax.eval_shape(preprocessor(preprocessing), batch)[name]
    return jnp.zeros(spec.shape, spec.dtype)
