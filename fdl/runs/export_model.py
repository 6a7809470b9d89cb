"""Export of a trained model: a folder that stands without the run."""

import os
import pathlib
import shutil
from collections.abc import Mapping
from typing import Any

import jax

from fdl.errors import UserError
from fdl.files import fresh_name, sync
from fdl.models.pretrained.variables import save_variables
from fdl.models.stablehlo import export_stablehlo
from fdl.runs.directory import writing
from fdl.runs.model_files import FORMAT, describe, write_files
from fdl.runs.trained_model import VARIABLES_FILE, TrainedModel
from fdl.types import Ability


def export_model(
    trained: TrainedModel,
    folder: pathlib.Path,
    *,
    experiment: Mapping[str, Any],
    stablehlo: bool = False,
    needs_experiment: bool = False,
) -> dict[str, Any]:
    """Writes a trained model into a new folder, whole or not at all.

    `load_model` reads it. Of a network outside the zoo it holds the variables, and how
    its experiment was configured.

    Args:
      trained: Trained model.
      folder: Folder, which does not exist or is empty.
      experiment: ``arg`` and ``overrides`` of the experiment, as in ``run.json``.
      stablehlo: True to write an artefact of `jax.export` for each ability that has
        inputs, ``NAME.stablehlo``, with the variables inside.
      needs_experiment: True to export a network outside the zoo that can only be read
        with the experiment's file.

    Returns:
      Content of ``model.json``; ``network`` is None if it is outside the zoo, and
      ``artefacts`` names the abilities of which there is one.

    Raises:
      UserError: The folder is not empty, or the network is outside the zoo and neither
        an artefact nor the experiment's file is to be used.
      RunError: A file cannot be written.
    """
    check_empty(folder)
    if trained.model is None and not trained.abilities:
        raise UserError(
            f"{trained.name} has no model and no ability: there is nothing to export"
        )
    try:
        content = describe(trained.name, trained.model, trained.abilities)
    except UserError as error:
        if not (stablehlo or needs_experiment):
            raise UserError(
                f"{trained.name} cannot be exported as data: {error}. Say --experiment "
                "FILE, here and to use the export, or --stablehlo"
            ) from None
        content = {"format": FORMAT, "name": trained.name, "network": None}
    artefacts = _artefacts(trained) if stablehlo else {}
    content |= {
        "step": trained.step,
        "experiment": dict(experiment),
        "artefacts": [*artefacts],
    }
    folder = folder.absolute()
    partial = fresh_name(folder)
    with writing(folder):
        partial.mkdir(parents=True)
        try:
            for name, artefact in artefacts.items():
                (partial / f"{name}.stablehlo").write_bytes(artefact)
            save_variables(partial / VARIABLES_FILE, jax.device_get(trained.variables))
            write_files(partial, content, trained.abilities)
            for path in [*partial.rglob("*"), partial]:
                sync(path)
            partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return content


def check_empty(folder: pathlib.Path) -> None:
    """Raises `UserError` unless a new folder can take the place of a path."""
    if not os.path.lexists(folder):
        return
    if folder.is_symlink() or not folder.is_dir() or any(folder.iterdir()):
        raise UserError(f"{folder}: expected a new or an empty folder")
    # Another folder of the name would not be the current one.
    if folder.samefile("."):
        raise UserError(f"{folder}: expected another folder than the current one")


def _artefacts(trained: TrainedModel) -> dict[str, bytes]:
    """Artefacts of the abilities that have inputs, by name."""
    asked = {k: x for k, x in trained.abilities.items() if x.inputs is not None}
    if not asked:
        raise UserError(f"--stablehlo: {trained.name} has no ability with inputs")
    return {name: _artefact(ability, trained) for name, ability in asked.items()}


def _artefact(ability: Ability, trained: TrainedModel) -> bytes:
    def function(variables, inputs):
        return ability.function(variables, inputs, jax.random.key(0))

    return export_stablehlo(function, trained.variables, ability.inputs.inputs)
