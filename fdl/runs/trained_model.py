"""Trained models, loaded from a run or an export."""

import functools
import os
import pathlib
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fdl.errors import UserError, shown
from fdl.evaluation.published import published_abilities
from fdl.models import Published, from_folder
from fdl.models.pretrained.variables import load_variables
from fdl.runs.experiment import build, load_file
from fdl.runs.model_checks import check_variables, reading
from fdl.runs.model_files import TEXT_FILE, read_description
from fdl.runs.record import read_record, seed_index
from fdl.trees import select_variables
from fdl.types import Ability, Experiment, Model, Variables

MODEL_FOLDER = "model"  # Of a run: what `read_description` reads.
VARIABLES_FILE = "variables.safetensors"  # Of an export.
CONFIG_FILE = "config.json"  # Of a published model.

Path = str | os.PathLike[str]


class TrainedModel(NamedTuple):
    """Trained model: variables of one seed at one checkpoint.

    Attributes:
      name: Name of the experiment.
      model: Model; None if the experiment has none, or several.
      variables: Variables of the model.
      abilities: What it can be asked for, by name.
      step: Step of the checkpoint; 0 of a published model.
      published: Published model that it is, or None.
    """

    name: str
    model: Model | None
    variables: Variables
    abilities: Mapping[str, Ability]
    step: int
    published: Published | None = None

    @property
    def title(self) -> str:
        """Name, and the step of the checkpoint, if it is of a run."""
        return self.name if self.published else f"{self.name} at step {self.step}"

    def __repr__(self) -> str:
        """Name, step and abilities, without the arrays."""
        can = ", ".join(self.abilities) or "none"
        return f"TrainedModel({self.name!r}, step {self.step}, abilities: {can})"


def ability(trained: TrainedModel, name: str, place: object) -> Ability:
    """Ability of a trained model.

    Args:
      trained: Trained model.
      name: Name of the ability, such as "predict".
      place: Path of the run or the export, for the error message.

    Raises:
      UserError: The model has no such ability.
    """
    if name not in trained.abilities:
        if trained.published:
            raise UserError(
                f"{place} cannot {name}: it is a {shown(trained.name)}; of published "
                "models, those that classify texts or images or fill in a [MASK] can "
                "predict, and those that continue texts generate and score"
            )
        known = ", ".join(trained.abilities) or "no abilities (see fdl.types.Ability)"
        raise UserError(f"{place} cannot {name}: it has {known}")
    return trained.abilities[name]


def is_run(path: Path) -> bool:
    """True if a path is that of a run directory."""
    return (pathlib.Path(path) / "run.json").is_file()


def load_trained(
    path: Path,
    *,
    checkpoint: str = "latest",
    average: int | None = None,
    seed: int | None = None,
    experiment_file: str | None = None,
    warn: Callable[[str], None] = warnings.warn,
) -> TrainedModel:
    """Loads a trained model from a run, an export, or a folder of a published model.

    It is that of `load_run`, `load_model` or `fdl.models.from_folder`.

    Args:
      path: Directory of a run, an export, or a folder as Hugging Face lays it out.
      checkpoint: "best", "latest" or a step, of a run.
      average: Number of the last checkpoints of a run to average; None for one.
      seed: One of the seeds of a run; default: the first.
      experiment_file: Path of the experiment's file; default: none is needed.
      warn: Called with one line if there is more than one seed to choose from.

    Raises:
      UserError: There is no such folder, or it is not valid.
    """
    path = pathlib.Path(path)
    if is_run(path):
        return load_run(
            path,
            checkpoint=checkpoint,
            average=average,
            seed=seed,
            experiment_file=experiment_file,
            warn=warn,
        )
    is_export = (path / TEXT_FILE).is_file()
    if not is_export and not (path / CONFIG_FILE).is_file():
        raise UserError(
            f"{path} is no run directory, no export and no published model: it has "
            f"neither run.json nor {TEXT_FILE} nor {CONFIG_FILE}"
        )
    if checkpoint != "latest" or average is not None or seed is not None:
        kind = "an export" if is_export else "a published model"
        raise UserError(f"{path} is {kind}: it has one checkpoint of one seed")
    if is_export:
        return load_model(path, experiment_file=experiment_file)
    if experiment_file is not None:
        raise UserError(f"{path} is a published model: expected no --experiment")
    return _load_published(path)


def load_model(folder: Path, *, experiment_file: Path | None = None) -> TrainedModel:
    """Loads a model that `fdl export` wrote.

    The folder may come from anywhere: nothing in it is imported or run.

    Args:
      folder: Folder of the export.
      experiment_file: Path of the experiment's file, which is imported; needed for a
        network outside the zoo alone.

    Raises:
      UserError: A file is missing, damaged or of another format, or the variables are
        not those of the network.
    """
    folder = pathlib.Path(folder)
    if is_run(folder):
        raise UserError(f"{folder} is a run directory: expected an export (load_run)")
    name, model, abilities, content = read_description(folder)
    if experiment_file is not None:
        experiment = _of_file(pathlib.Path(experiment_file), folder, content)
        model, abilities = experiment.model, experiment.abilities
    elif model is None:
        alone = (
            ", or run its artefacts by JAX alone" if content.get("artefacts") else ""
        )
        raise UserError(
            f"{folder} has a network outside the zoo: say where the file of its "
            f"experiment is with --experiment FILE{alone}"
        )
    step = content.get("step")
    if type(step) is not int:
        raise UserError(f"{folder / TEXT_FILE}: step={step!r:.20}: expected an integer")
    path = folder / VARIABLES_FILE
    variables = load_variables(path)
    return _checked(TrainedModel(name, model, variables, abilities, step), path)


def load_run(
    workdir: Path,
    *,
    checkpoint: str = "latest",
    average: int | None = None,
    seed: int | None = None,
    experiment_file: str | None = None,
    warn: Callable[[str], None] = warnings.warn,
) -> TrainedModel:
    """Loads the trained model of a run.

    It needs neither the data nor the file of the experiment, if the network is one of
    the zoo and checkpoints hold the model, ``config.save_model``. Otherwise the
    experiment is imported and built.

    Args:
      workdir: Directory of the run.
      checkpoint: "best", "latest" or a step.
      average: Number of the last checkpoints whose parameters are averaged, see
        `fdl.runs.average_variables`; None for the one of ``checkpoint``.
      seed: One of the seeds of the run; default: the first.
      experiment_file: Path of the experiment's file, to build the model of it. Default:
        of what the run has kept, or else of the file that it names, which has to be
        trusted (see `fdl.runs.trusted_files`).
      warn: Called with one line if there is more than one seed to choose from, or if
        the experiment's file has changed.

    Raises:
      UserError: There is no such run, checkpoint or seed.
      DamageError: The variables are not as they were written.
    """
    # Imported late: an export needs no orbax, which takes a second.
    from fdl.runs.average_variables import average_variables
    from fdl.runs.checkpoint import Checkpoints
    from fdl.runs.open_run import (
        check_one_model,
        find_steps,
        open_run,
        read_anew,
        read_variables,
    )

    workdir = pathlib.Path(workdir)
    run, config = read_record(workdir)
    num_seeds, first = run["seeds"], config["seed"]
    index = seed_index(workdir, first, num_seeds, seed)
    folder = workdir / MODEL_FOLDER
    checkpoints = Checkpoints(
        workdir / "checkpoints", keep=config["keep"], best=config["best"]
    )
    read_one = checkpoints.read_variables
    described = (folder / TEXT_FILE).exists() and config.get("save_model", True)
    if experiment_file is None and described:
        name, model, abilities, _ = read_description(folder)
    else:
        opened = open_run(workdir, warn, experiment_file)
        check_one_model(opened)
        experiment = opened.experiments[index]
        name = opened.loaded.name
        model, abilities = experiment.model, experiment.abilities
        read_one = functools.partial(read_variables, opened, checkpoints)

    def read() -> tuple[int, Variables]:
        steps = find_steps(checkpoints, workdir, checkpoint, average)
        return steps[-1], average_variables(map(read_one, steps))

    step, variables = read_anew(checkpoints, read)
    if num_seeds > 1:
        variables = select_variables(variables, index)
        if seed is None:
            warn(
                f"{workdir} has {num_seeds} seeds: this is seed {first + index}, "
                "the first"
            )
    trained = TrainedModel(name, model, variables, abilities, step)
    return _checked(trained, f"{workdir}, checkpoint of step {step}")


def _load_published(folder: pathlib.Path) -> TrainedModel:
    """Published model of a folder; see `load_trained`."""
    # Rates of dropout that differ are of no concern where nothing is dropped.
    published = from_folder(folder, dropout=0.0)
    name = str(published.config["architectures"][0])
    try:
        abilities = published_abilities(published)
    except UserError as error:
        raise UserError(f"{folder}: {error}") from None
    model, variables = published.model, published.variables
    return TrainedModel(name, model, variables, abilities, 0, published)


def _checked(trained: TrainedModel, place: object) -> TrainedModel:
    """Trained model with checked variables, on the device."""
    check_variables(trained.model, trained.abilities, trained.variables, place)
    return trained._replace(variables=jax.tree.map(jnp.asarray, trained.variables))


def _of_file(
    path: pathlib.Path, folder: pathlib.Path, content: Mapping[str, Any]
) -> Experiment:
    """Experiment of a file, of the config that an export names."""
    with reading(folder / TEXT_FILE):
        spec = content["experiment"]
        arg, overrides = str(spec["arg"]), [str(x) for x in spec["overrides"]]
    if not path.is_file():
        raise UserError(f"{path}: expected the file of the experiment")
    (experiment,) = build(load_file(path.resolve(), arg, overrides))
    return experiment
