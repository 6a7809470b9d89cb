"""Checks of the parts of an experiment, when it is built and when it is evaluated."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fdl.errors import UserError, check_parameters, check_type
from fdl.types import (
    Ability,
    Batches,
    Claim,
    Evaluate,
    Examples,
    Experiment,
    Learner,
    Model,
    Variables,
)

KINDS: dict[str, tuple[type, str]] = {
    "learner": (Learner, "fdl.gradient_learner(...)"),
    "batches": (Batches, "fdl.data.batches(arrays, batch_size)"),
    "model": (Model, "fdl.models.functional(module)"),
    "abilities": (Mapping, "{'predict': fdl.Ability(...)}"),
    "examples": (Examples, "fdl.Examples(batches, objective)"),
    "weights": (Mapping, "the digests of fdl.models.from_source(DIR)"),
}


def checked(experiment: Any) -> Experiment:
    """Experiment whose parts are of their types, and whose metrics are floats.

    Args:
      experiment: What ``build(config)`` returns.

    Raises:
      UserError: It is no experiment, or a part is not of its type; when it is
        evaluated: its metrics are no numbers by name.
    """
    if not isinstance(experiment, Experiment):
        raise UserError(
            f"build returns {type(experiment).__name__}, expected an fdl.Experiment"
        )
    for part, (kind, example) in KINDS.items():
        value = getattr(experiment, part)
        if value is not None or part not in ("model", "examples"):
            check_type(part, value, kind, example)
    for name, ability in experiment.abilities.items():
        check_type(
            f"abilities[{name!r}]", ability, Ability, "fdl.Ability(function, inputs)"
        )
    for claim in experiment.claims:
        check_type("claim", claim, Claim, "fdl.Claim('text', measure, at_least=0.9)")
    if experiment.samples is not None:
        check_parameters("samples", experiment.samples, "variables")
    test = experiment.test
    return experiment._replace(
        evaluate=_to_floats("evaluate", experiment.evaluate),
        test=None if test is None else _to_floats("test", test),
    )


def _to_floats(name: str, function: Evaluate) -> Evaluate:
    """Evaluation whose metrics are floats by name."""
    check_parameters(name, function, "variables")

    def evaluate(variables: Variables) -> Mapping[str, float]:
        metrics: Any = function(variables)
        if not isinstance(metrics, Mapping):
            raise UserError(
                f"{name} returns {type(metrics).__name__}: expected floats by name, "
                "such as {'accuracy': 0.9}"
            )
        return {key: _to_float(name, key, value) for key, value in metrics.items()}

    return evaluate


def _to_float(name: str, key: str, value: Any) -> float:
    if callable(getattr(value, "compute", None)):
        value = value.compute()
    try:
        return float(np.asarray(value))
    except (TypeError, ValueError):
        shape = f" of shape {list(np.shape(value))}" if np.ndim(value) else ""
        raise UserError(
            f"{name} returns {key!r} of type {type(value).__name__}{shape}: expected a "
            "float"
        ) from None
