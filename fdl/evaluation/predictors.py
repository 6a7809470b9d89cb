"""Prediction as an ability of a trained model: classes, probabilities, numbers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from fdl.data.preprocessing import Preprocessing, preprocessor
from fdl.errors import UserError, near
from fdl.types import Ability, Array, Key, Model, Variables


def classifier(
    model: Model,
    preprocessing: Preprocessing,
    *,
    inputs: str | None = None,
    classes: Sequence[str] = (),
) -> Ability:
    """Prediction of a classifier: ``class``, int [B], and ``probability``, [B, C].

    Args:
      model: Model of inputs to logits, float [B, C], or [B, 1] for the positive one of
        two classes.
      preprocessing: Preprocessing of the inputs.
      inputs: Name of the inputs of the model. Default: the only ones.
      classes: Names of the classes. Default: they are numbered.
    """
    outputs = _outputs(model, preprocessing, inputs)

    def predict(variables: Variables, inputs: Mapping[str, Array], key: Key):
        logits = outputs(variables, inputs, key)
        if logits.ndim != 2:
            raise UserError(f"logits.shape={list(logits.shape)}: expected [B, C]")
        if logits.shape[-1] == 1:
            # A sigmoid is a softmax over the logits 0 and z.
            logits = jnp.pad(logits, ((0, 0), (1, 0)))
        probability = jax.nn.softmax(logits, axis=-1)
        return {"class": probability.argmax(axis=-1), "probability": probability}

    spec = {"name": "classifier", "inputs": inputs, "classes": [*classes]}
    names = {"class": tuple(classes), "probability": tuple(classes)}
    return Ability(predict, preprocessing, names, spec)


def tagger(
    model: Model,
    preprocessing: Preprocessing,
    *,
    inputs: str | None = None,
    classes: Sequence[str] = (),
    pad_token: int | None = None,
) -> Ability:
    """Tagging: ``tag``, int [B, T], -1 at padding, and ``length``, int [B].

    Args:
      model: Model of tokens, int [B, T], to the logits of each, float [B, T, C].
      preprocessing: Preprocessing of the inputs.
      inputs: Name of the inputs of the model. Default: the only ones.
      classes: Names of the tags. Default: they are numbered.
      pad_token: Token id of padding. Default: none.
    """
    name, preprocess = only_input(preprocessing, inputs), preprocessor(preprocessing)

    def predict(variables: Variables, inputs: Mapping[str, Array], key: Key):
        tokens = preprocess(inputs)[name]
        logits, _ = model.apply(variables, tokens, key=key)
        if logits.ndim != 3 or logits.shape[:2] != tokens.shape[:2]:
            raise UserError(
                f"logits.shape={list(logits.shape)}: expected "
                f"{[*tokens.shape[:2]]} and classes, a tag for each token"
            )
        present = jnp.ones(tokens.shape[:2], bool)
        if pad_token is not None:
            present = tokens != pad_token
        tag = jnp.where(present, logits.argmax(axis=-1), -1)
        return {"tag": tag, "length": present.sum(axis=1)}

    # The index of padding, -1, is that of the last name.
    names = (*classes, "") if classes else ()
    spec = {
        "name": "tagger",
        "inputs": inputs,
        "classes": [*classes],
        "pad_token": pad_token,
    }
    return Ability(predict, preprocessing, {"tag": names, "length": ()}, spec)


def regressor(
    model: Model,
    preprocessing: Preprocessing,
    *,
    inputs: str | None = None,
    mean: float = 0.0,
    std: float = 1.0,
) -> Ability:
    """Prediction of a regression: ``prediction``, float [B] or [B, K].

    Predictions are in the units of the targets.

    Args:
      model: Model of inputs to standardised predictions, float [B, 1] or [B, K].
      preprocessing: Preprocessing of the inputs.
      inputs: Name of the inputs of the model. Default: the only ones.
      mean: Mean of the training targets, as in `objectives.regression`.
      std: Standard deviation of the training targets.
    """
    outputs = _outputs(model, preprocessing, inputs)

    def predict(variables: Variables, inputs: Mapping[str, Array], key: Key):
        values = outputs(variables, inputs, key) * std + mean
        return {"prediction": values.squeeze(-1) if values.shape[-1] == 1 else values}

    spec = {"name": "regressor", "inputs": inputs, "mean": mean, "std": std}
    return Ability(predict, preprocessing, {"prediction": ()}, spec)


def only_input(preprocessing: Preprocessing, inputs: str | None = None) -> str:
    """Name of the inputs of a model; of the only ones, if there is none.

    Raises:
      UserError: There are several inputs, or none of this name.
    """
    known = [*preprocessing.inputs]
    if inputs is None and len(known) == 1:
        return known[0]
    if inputs not in known:
        raise UserError(
            f"inputs={inputs!r}: expected the name of an input. "
            f"{near(str(inputs), known)}"
        )
    return inputs


def _outputs(
    model: Model, preprocessing: Preprocessing, inputs: str | None
) -> Callable[[Variables, Mapping[str, Array], Key], Array]:
    """Outputs of a model in evaluation mode, in float32, of encoded inputs."""
    name, preprocess = only_input(preprocessing, inputs), preprocessor(preprocessing)

    def outputs(variables: Variables, batch: Mapping[str, Array], key: Key) -> Any:
        values, _ = model.apply(variables, preprocess(batch)[name], key=key)
        return values.astype(jnp.float32)

    return outputs
