"""`fdl lr-find`: run a learning rate range test, and suggest a rate."""

import argparse
import pathlib

import jax
from ml_collections import ConfigDict

from fdl import diagnostics, plots
from fdl.cli.arguments import add_experiment, output_path
from fdl.cli.console import say
from fdl.config import flat
from fdl.diagnostics import LRRangeTest
from fdl.errors import RunError, UserError, near
from fdl.runs.directory import writing
from fdl.runs.experiment_files import user_code
from fdl.runs.first_batch import first_batch

FORMATS = (".png", ".jpg", ".pdf", ".svg")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    add_experiment(parser)
    parser.add_argument(
        "--steps", type=int, default=100, metavar="N", help="rates (default: 100)"
    )
    for name, rate in (("start", 1e-6), ("end", 10.0)):
        parser.add_argument(
            f"--{name}", type=float, default=rate, help=f"rate (default: {rate:g})"
        )
    parser.add_argument(
        "--key", help="key of the learning rate in the config, if it is not obvious"
    )
    parser.add_argument("--output", help="the plot (default: runs/NAME-lr-find.png)")


def main(options: argparse.Namespace) -> int:
    """Draws the loss over the learning rate, and prints the suggested rate."""
    if options.steps < 10:
        raise UserError(f"--steps={options.steps}: expected at least 10")
    if not 0 < options.start < options.end < float("inf"):
        raise UserError(
            f"--start={options.start:g} --end={options.end:g}: expected rising rates"
        )
    path = output_path(options.output, FORMATS) if options.output else None
    first = first_batch(options.experiment, options.overrides)
    key, configured = rate_in(first.loaded.config, options.key)
    learner, batches = first.experiment.learner, first.experiment.batches
    # The rate is a metric of each step, or else a constant of the config.
    metrics = jax.eval_shape(learner.step, first.state, first.batch)[1]
    if "learning_rate" not in metrics and configured is None:
        raise UserError(
            "the learning rate of this learner is not known: name its key of the "
            "config, as in --key optimizer.learning_rate"
        )
    take = jax.jit(batches.take)
    with user_code(first.loaded.path):
        result = diagnostics.lr_range_test(
            learner,
            first.state,
            (take(batches.data, item) for item in batches.stream(0)),
            configured=configured,
            start=options.start,
            end=options.end,
            num_steps=options.steps,
        )
    if len(result.rates) < 3:
        raise RunError(
            f"the loss diverges at once, at a learning rate of {options.start:g}: "
            "try a lower --start"
        )
    name = first.loaded.name.replace("/", "_")
    path = path or pathlib.Path(f"runs/{name}-lr-find.png")
    title = f"{first.loaded.name}, {len(result.rates)} rates"
    marks = {
        "suggested": result.suggested_rate,
        "falls fastest": result.rate_at_steepest,
    }
    figure = plots.lr_range_test(
        result.rates,
        result.losses,
        result.smoothed,
        marks if result.loss_decreased else {},
        title=title,
    )
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        plots.save(figure, path)
    print_result(result, key, path)
    return 0 if result.loss_decreased else 1


def rate_in(config: ConfigDict, asked: str | None) -> tuple[str | None, float | None]:
    """Key of the learning rate in a config, and its value, if there is one.

    Raises:
      UserError: The key that was asked for does not exist, or is no positive number.
    """
    values = flat(config)
    if asked is not None:
        if asked not in values:
            raise UserError(f"--key={asked}: no such key. {near(asked, values)}")
        if not isinstance(values[asked], int | float) or not values[asked] > 0:
            raise UserError(
                f"--key={asked}: expected the key of a positive number, it is "
                f"{values[asked]!r}"
            )
        return asked, float(values[asked])
    # Without a key, the only one of that name; of several, one would be a guess.
    keys = [key for key in values if key.rpartition(".")[2] == "learning_rate"]
    if len(keys) != 1 or not isinstance(values[keys[0]], int | float):
        return None, None
    return keys[0], float(values[keys[0]])


def print_result(result: LRRangeTest, key: str | None, path: pathlib.Path) -> None:
    """Prints the suggested rate as an override of the config."""
    first, least = result.smoothed[0], result.smoothed.min()
    say(f"smoothed loss {first:.4g} at first, {least:.4g} at least")
    if not result.loss_decreased:
        say("the loss did not fall at any rate: there is nothing to suggest")
    else:
        option = f"--config.{key}=" if key else ""
        say(
            f"  {option}{result.suggested_rate:.2g}  suggested, for this batch size: a "
            f"tenth of {result.rate_at_minimum:.2g}, where it is lowest"
        )
        say(f"it falls fastest at {result.rate_at_steepest:.2g}")
    if not result.diverged:
        say(f"it did not diverge up to {result.rates[-1]:.2g}: see also --end")
    say(f"  {path}  the plot")
