"""Ability of density models: the log-density of each example."""

from collections.abc import Mapping

from fdl.data.preprocessing import Preprocessing, preprocessor
from fdl.evaluation.predictors import only_input
from fdl.types import Ability, Array, Key, Model, Variables


def log_density(
    model: Model, preprocessing: Preprocessing, *, inputs: str | None = None
) -> Ability:
    """Log-density of each example: ``log_density``, float [B], in nats.

    It is that of the preprocessed inputs, as they are: nothing is dequantised.

    Args:
      model: Model of inputs to log-densities, float [B], such as `models.RealNVP`.
      preprocessing: Preprocessing of the inputs.
      inputs: Name of the inputs of the model. Default: the only ones.
    """
    name, preprocess = only_input(preprocessing, inputs), preprocessor(preprocessing)

    def score(variables: Variables, batch: Mapping[str, Array], key: Key):
        values, _ = model.apply(variables, preprocess(batch)[name], key=key)
        return {"log_density": values}

    spec = {"name": "log_density", "inputs": inputs}
    return Ability(score, preprocessing, {"log_density": ()}, spec)
