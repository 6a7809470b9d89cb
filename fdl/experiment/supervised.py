"""Supervised experiments, each part of which is given once."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from fdl import config as configs
from fdl import data, evaluation, optim
from fdl.data.preprocessing import Preprocessing, preprocessor
from fdl.data.sources import Source, num_examples
from fdl.data.splits import Splits
from fdl.errors import UserError
from fdl.evaluation import only_input
from fdl.experiment.tasks import Task, classification
from fdl.learners import fresh_statistics, gradient_learner
from fdl.models import functional, initialised
from fdl.types import (
    Batches,
    Claim,
    Examples,
    Experiment,
    Model,
    Objective,
    Variables,
)

MAX_TEST_BATCH = 1024  # Of the evaluation, where the config does not give one.


def supervised(
    config: Any,
    splits: Splits,
    preprocessing: Preprocessing,
    network: nn.Module,
    task: Task | None = None,
    *,
    training: Callable[[Objective], Objective] | None = None,
    optimizer: Any = None,
    variables: Variables | None = None,
    claims: Sequence[Claim] = (),
) -> Experiment:
    """Experiment of a network that is trained on examples by gradient descent.

    Of the config it reads ``seed``, ``batch_size``, ``test_batch_size`` if there is
    one, ``optimizer``, and ``num_steps`` or ``num_epochs``. A part that is made in
    another way is replaced: ``supervised(...)._replace(batches=...)``.

    Args:
      config: Config of the experiment.
      splits: Training, validation and test examples, encoded; or `Batches` of them,
        such as `data.drawn`. Without a test split (None), as in cross-validation, there
        is no test.
      preprocessing: Preprocessing of the inputs.
      network: Flax module, of the preprocessed inputs.
      task: Task of the network. Default: `classification`.
      training: Function of the task's objective to the one to train with, such as
        ``partial(objectives.augmented, augment=...)``. Default: the same.
      optimizer: Arguments of `optim.chain`, or a gradient transformation of optax.
        Default: ``config.optimizer``.
      variables: Variables that training begins with, such as those of a published
        network. Default: they are drawn.
      claims: Claims to test after training.

    Raises:
      UserError: A part cannot be made, or a label has no output of the network.

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
    task = task or classification()
    name, preprocess = only_input(preprocessing), preprocessor(preprocessing)
    example = _example(preprocessing)
    model = functional(network, example)
    if variables is not None:
        model = initialised(model, variables)
    objective = task.objective(model, inputs=name)
    _check_outputs(model, example, task, splits)
    _check_inputs(preprocessing, task, splits)
    batches = whole = splits.train
    if not isinstance(splits.train, Batches):
        batches = data.batches(splits.train, config.batch_size, config.seed)
        # In an order that is the same for all seeds, which share the learner.
        whole = data.batches(splits.train, config.batch_size, drop_remainder=True)
    batches = data.transform(batches, preprocess)
    optimizer = config.optimizer if optimizer is None else optimizer
    if not isinstance(optimizer, optax.GradientTransformation):
        num_steps = configs.num_steps(config, batches.steps_per_epoch)
        optimizer = optim.chain(**optimizer, num_steps=num_steps)
    learner = gradient_learner(
        model,
        objective if training is None else training(objective),
        optimizer,
        statistics=fresh_statistics(
            model, data.transform(whole, preprocess), inputs=name
        ),
    )

    validation = _one_epoch(config, splits.validation)
    test = None if splits.test is None else _one_epoch(config, splits.test)
    evaluate = partial(evaluation.on_dataset, objective, preprocess=preprocess)
    return Experiment(
        learner=learner,
        batches=batches,
        evaluate=evaluate(validation),
        test=test and evaluate(test),
        model=model,
        abilities={
            ability: make(model, preprocessing)
            for ability, make in task.abilities.items()
        },
        examples=Examples(test or validation, objective, preprocess),
        claims=claims,
    )


def _check_outputs(
    model: Model, example: jax.Array, task: Task, splits: Splits
) -> None:
    """Checks the examples that lie in memory by the outputs of the model."""
    if task.check is None:  # The model is traced for nothing else here.
        return

    def outputs(key):
        return model.apply(model.init(key), example)[0]

    shape = jax.tree.leaves(jax.eval_shape(outputs, jax.random.key(0)))[0].shape
    for name, part in splits._asdict().items():
        if isinstance(part, Mapping):
            task.check(shape[-1], part, name)


def _check_inputs(preprocessing: Preprocessing, task: Task, splits: Splits) -> None:
    """Checks the inputs of the examples that lie in memory, as a model sees them."""
    name, preprocess = only_input(preprocessing), preprocessor(preprocessing)
    expected = preprocessing.inputs[name].shape
    for part_name, part in splits._asdict().items():
        if not isinstance(part, Mapping) or name not in part:
            continue
        found = np.shape(part[name])[1:]
        if found != tuple(expected):
            raise UserError(
                f"{part_name}: {name!r} is {[*found]} in each example: expected "
                f"{[*expected]}, as the preprocessing has it"
            )
        if task.check_inputs is not None:
            # Preprocessing scales or shifts each number alone: those between the
            # extremes need not be seen.
            extremes = np.stack([part[name].min(axis=0), part[name].max(axis=0)])
            found = preprocess({name: jnp.asarray(extremes)})[name]
            task.check_inputs(np.asarray(found), part_name)


def _one_epoch(config: Any, source: Source | Batches) -> Batches:
    """Batches of held-out examples, in their order."""
    if isinstance(source, Batches):
        return source
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
