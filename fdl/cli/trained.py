"""What a run has learnt, and how to ask it."""

import argparse
import pathlib
from typing import Any, NamedTuple


class Trained(NamedTuple):
    """A checkpoint of a run.

    Attributes:
      name: Of the experiment.
      workdir: The folder of the run.
      predictor: How to ask it.
      state: What was learnt, by one seed.
      step: Of the checkpoint.
    """

    name: str
    workdir: pathlib.Path
    predictor: Any
    state: Any
    step: int


def load(
    options: argparse.Namespace, workdir: str, experiment: str | None = None
) -> Trained:
    """Loads a checkpoint, of one seed.

    Args:
      options: ``checkpoint`` and ``seed`` count.
      workdir: The folder of the run.
      experiment: Where its file is; default: where it was.

    Raises:
      UserError: There is no such run, checkpoint or seed, or the experiment does not
        say how to ask it.
    """
    import jax

    from fdl.cli import loading
    from fdl.cli.output import warn
    from fdl.cli.recorded import opened, place_of, restore
    from fdl.errors import UserError

    run = opened(workdir, experiment)
    folder, config = run.workdir, run.loaded.config
    count = loading.num_folds(config)
    if count:
        raise UserError(
            f"{folder} has {count} folds, and no model of all the data: to ask one, "
            "train without --folds"
        )
    place = place_of(options.seed, config.seed, run.seeds, folder)
    predictor = run.experiments[place].predictor
    if predictor is None:
        raise UserError(
            f"{run.loaded.name} does not say how to ask it: its build returns an "
            "fdl.Experiment without a predictor (see fdl.prediction)"
        )
    step, carry = restore(folder, run.setting, config, options.checkpoint)
    state = carry.state
    if run.seeds > 1:
        state = jax.tree.map(lambda x: x[place], state)
        if options.seed is None:
            seed = config.seed + place
            warn(f"{folder} has {run.seeds} seeds: this is seed {seed} (--seed)")
    return Trained(run.loaded.name, folder, predictor, state, step)


def output(name: str | None, suffixes: tuple[str, ...]) -> pathlib.Path | None:
    """Where answers go, if to a file.

    Raises:
      UserError: It is no name of such a file, or there is no such folder.
    """
    from fdl.errors import UserError

    if name is None:
        return None
    path = file_of(name, suffixes)
    if not path.parent.is_dir():
        raise UserError(f"--output={name}: there is no folder {path.parent}")
    return path


def file_of(name: str, suffixes: tuple[str, ...]) -> pathlib.Path:
    """The path of ``--output``; `UserError` if it has none of the suffixes."""
    from fdl.errors import UserError

    path = pathlib.Path(name)
    if path.suffix not in suffixes:
        raise UserError(
            f"--output={name}: expected a name with {' or '.join(suffixes)}"
        )
    return path
