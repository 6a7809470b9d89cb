"""Predictors: classes, probabilities and regression values of a trained model."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from fdl import optim
from fdl.errors import UserError
from fdl.types import Array, Batch, Batches, Model, Objective, Predictor, TrainState

EncodeRows = Callable[[Sequence[Mapping[str, Any]]], Any]


def classifier(
    model: Model,
    objective: Objective,
    test: Batches,
    *,
    inputs: str = "image",
    encode: Callable[[Any], Any] | None = None,
    encode_rows: EncodeRows | None = None,
    columns: Sequence[str] = (),
    classes: Sequence[str] = (),
) -> Predictor:
    """Predictor of a classifier: ``class``, int [B], and ``probability``, [B, C].

    If the optimizer keeps an average of the weights, the average is used, as in the
    evaluation.

    Args:
      model: Model of inputs to logits, float [B, C], or [B, 1] for the positive one of
        two classes.
      objective: Objective of the evaluation.
      test: Batches of the evaluation.
      inputs: Name of the inputs in a batch.
      encode: Preprocessing of inputs [N, ...] from a file; see `Predictor`.
      encode_rows: Function of rows of a CSV file to inputs [N, F]; see `Predictor`.
      columns: Names of the columns of the inputs.
      classes: Names of the classes.
    """

    def predict(state: TrainState, batch: Batch) -> Mapping[str, Array]:
        logits = outputs(model, state, batch[inputs])
        if logits.ndim != 2:
            raise UserError(f"logits.shape={list(logits.shape)}: expected [B, C]")
        if logits.shape[-1] == 1:
            # A sigmoid is a softmax over the logits 0 and z.
            logits = jnp.pad(logits, ((0, 0), (1, 0)))
        probability = jax.nn.softmax(logits, axis=-1)
        return {"class": probability.argmax(axis=-1), "probability": probability}

    predictor = Predictor(
        predict, objective, test, inputs, columns=columns, classes=classes
    )
    return _with_encoding(predictor, encode, encode_rows)


def regressor(
    model: Model,
    objective: Objective,
    test: Batches,
    *,
    inputs: str = "features",
    mean: float = 0.0,
    std: float = 1.0,
    encode: Callable[[Any], Any] | None = None,
    encode_rows: EncodeRows | None = None,
    columns: Sequence[str] = (),
) -> Predictor:
    """Predictor of a regression: ``prediction``, float [B] or [B, K].

    Predictions are in the units of the targets. If the optimizer keeps an average of
    the weights, the average is used, as in the evaluation.

    Args:
      model: Model of inputs to standardised predictions, float [B, 1] or [B, K].
      objective: Objective of the evaluation.
      test: Batches of the evaluation.
      inputs: Name of the inputs in a batch.
      mean: Mean of the training targets, as in `objectives.regression`.
      std: Standard deviation of the training targets.
      encode: Preprocessing of inputs [N, ...] from a file; see `Predictor`.
      encode_rows: Function of rows of a CSV file to inputs [N, F]; see `Predictor`.
      columns: Names of the columns of the inputs.
    """

    def predict(state: TrainState, batch: Batch) -> Mapping[str, Array]:
        values = outputs(model, state, batch[inputs]) * std + mean
        return {"prediction": values.squeeze(-1) if values.shape[-1] == 1 else values}

    predictor = Predictor(predict, objective, test, inputs, columns=columns)
    return _with_encoding(predictor, encode, encode_rows)


def outputs(model: Model, state: TrainState, inputs: Array) -> Array:
    """Outputs of a model in evaluation mode, with averaged weights, in float32.

    Args:
      model: Model to apply.
      state: Train state, whose averaged weights are used if there are any.
      inputs: Inputs of the model, [B, ...].
    """
    values, _ = model.apply(optim.averaged(state).variables, inputs)
    return values.astype(jnp.float32)


def _with_encoding(predictor: Predictor, encode, encode_rows) -> Predictor:
    predictor = predictor._replace(encode_rows=encode_rows)
    return predictor if encode is None else predictor._replace(encode=encode)
