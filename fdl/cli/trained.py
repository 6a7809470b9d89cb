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
    from fdl.cli.eval import restore
    from fdl.cli.resume import reload
    from fdl.cli.start import start
    from fdl.cli.train import compare, warn
    from fdl.errors import UserError
    from fdl.train import session

    folder = pathlib.Path(workdir)
    loaded, run = reload(folder, experiment)
    count = loading.num_folds(loaded.config)
    if count:
        raise UserError(
            f"{folder} has {count} folds, and no model of all the data: to ask one, "
            "train without --folds"
        )
    start(keep_memory=loaded.config.keep_memory)
    place = place_of(options.seed, loaded.config.seed, run["seeds"], folder)
    experiments = loading.build(loaded, run["seeds"])
    predictor = experiments[place].predictor
    if predictor is None:
        raise UserError(
            f"{loaded.name} does not say how to ask it: its build returns an "
            "fdl.Experiment without a predictor (see fdl.prediction)"
        )
    with loading.user_code(loaded.path):
        setting = session.setting(experiments, loaded.config)
    compare(loaded, folder, run["seeds"], setting.batches.fingerprint)
    step, carry = restore(folder, setting, loaded.config, options.checkpoint)
    state = carry.state
    if run["seeds"] > 1:
        state = jax.tree.map(lambda x: x[place], state)
        if options.seed is None:
            seed = loaded.config.seed + place
            warn(f"{folder} has {run['seeds']} seeds: this is seed {seed} (--seed)")
    return Trained(loaded.name, folder, predictor, state, step)


def place_of(asked: int | None, first: int, seeds: int, folder: pathlib.Path) -> int:
    """The place of a seed among those of a run."""
    from fdl.errors import UserError

    if asked is None:
        return 0
    if not first <= asked < first + seeds:
        last = first + seeds - 1
        there = f"seed {first}" if seeds == 1 else f"the seeds {first} to {last}"
        raise UserError(f"--seed={asked}: {folder} has {there}")
    return asked - first


def output(name: str | None, suffixes: tuple[str, ...]) -> pathlib.Path | None:
    """Where answers go, if to a file.

    Raises:
      UserError: It is no name of such a file, or there is no such folder.
    """
    from fdl.errors import UserError

    if name is None:
        return None
    path = pathlib.Path(name)
    if path.suffix not in suffixes:
        raise UserError(
            f"--output={name}: expected a name with {' or '.join(suffixes)}"
        )
    if not path.parent.is_dir():
        raise UserError(f"--output={name}: there is no folder {path.parent}")
    return path
