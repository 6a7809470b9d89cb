"""What a model says of an example, beside how good that is."""

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
    """Answers with the likeliest ``class``, int [B], and each ``probability`` [B, C].

    Where the optimizer keeps an average of the weights, it is that which answers, as in
    the evaluation.

    Args:
      model: Maps inputs to logits, float [B, C]; or to the log-odds of yes, [B, 1],
        where the classes are no and yes.
      objective: Of the evaluation.
      test: Batches of the evaluation.
      inputs: Name of the inputs in a batch.
      encode: What has to be done to inputs [N, ...] of a file; see `Predictor`.
      encode_rows: What makes inputs [N, F] of the rows of a CSV file; see `Predictor`.
      columns: Names of the columns of the inputs.
      classes: Names of the classes.
    """

    def predict(state: TrainState, batch: Batch) -> Mapping[str, Array]:
        logits = outputs(model, state, batch[inputs])
        if logits.ndim != 2:
            raise UserError(f"logits are {list(logits.shape)}: expected [B, C]")
        if logits.shape[-1] == 1:
            logits = jnp.pad(logits, ((0, 0), (1, 0)))  # The odds of no are one.
        probability = jax.nn.softmax(logits, axis=-1)
        return {"class": probability.argmax(axis=-1), "probability": probability}

    made = Predictor(predict, objective, test, inputs, columns=columns, classes=classes)
    return _encoding(made, encode, encode_rows)


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
    """Answers with a ``prediction``, float [B] or [B, K], in the units of the targets.

    Args:
      model: Maps inputs to the standardised prediction, float [B, 1] or [B, K].
      objective: Of the evaluation.
      test: Batches of the evaluation.
      inputs: Name of the inputs in a batch.
      mean: Mean of the training targets, as `objectives.regression` has it.
      std: Their standard deviation.
      encode: What has to be done to inputs [N, ...] of a file; see `Predictor`.
      encode_rows: What makes inputs [N, F] of the rows of a CSV file; see `Predictor`.
      columns: Names of the columns of the inputs.
    """

    def predict(state: TrainState, batch: Batch) -> Mapping[str, Array]:
        found = outputs(model, state, batch[inputs]) * std + mean
        return {"prediction": found.squeeze(-1) if found.shape[-1] == 1 else found}

    made = Predictor(predict, objective, test, inputs, columns=columns)
    return _encoding(made, encode, encode_rows)


def outputs(model: Model, state: TrainState, inputs: Array) -> Array:
    """What the model makes of inputs, as in the evaluation, in float32."""
    found, _ = model.apply(optim.averaged(state).variables, inputs)
    return found.astype(jnp.float32)


def _encoding(made: Predictor, encode, encode_rows) -> Predictor:
    made = made._replace(encode_rows=encode_rows)
    return made if encode is None else made._replace(encode=encode)
