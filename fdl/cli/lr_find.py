"""`fdl lr-find`: try rising learning rates, and suggest one."""

import argparse
import pathlib
from typing import Any

PICTURES = (".png", ".jpg", ".pdf", ".svg")


def main(options: argparse.Namespace) -> int:
    """Draws the loss over the learning rate, and says which rates are good."""
    import jax

    from fdl import tools
    from fdl.cli import loading, trained, trial
    from fdl.errors import RunError, UserError

    if options.steps < 10:
        raise UserError(f"--steps={options.steps}: expected at least 10")
    if not 0 < options.start < options.end < float("inf"):
        raise UserError(
            f"--start={options.start:g} --end={options.end:g}: expected rising rates"
        )
    path = trained.file_of(options.output, PICTURES) if options.output else None
    made = trial.begin(options)
    key, configured = rate_in(made.loaded.config, options.key)
    metrics = jax.eval_shape(made.experiment.learner.step, made.state, made.batch)[1]
    if "learning_rate" not in metrics and configured is None:
        raise UserError(
            "the learning rate of this learner is not known: name its key of the "
            "config, as in --key optimizer.learning_rate"
        )
    batches = made.experiment.batches
    take = jax.jit(batches.take)
    with loading.user_code(made.loaded.path):
        result = tools.range_test(
            made.experiment.learner,
            made.state,
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
    name = made.loaded.name.replace("/", "_")
    path = path or pathlib.Path(f"runs/{name}-lr-find.png")
    draw(result, f"{made.loaded.name}, {len(result.rates)} rates", path)
    say(result, key, path)
    return 0 if result.fell else 1


def rate_in(config: Any, asked: str | None) -> tuple[str | None, float | None]:
    """The key of the learning rate and its value, if there is one.

    Raises:
      UserError: What was asked for is no number of the config.
    """
    from fdl.cli.show import flat
    from fdl.errors import UserError, near

    values = flat(config)
    if asked is not None:
        if asked not in values:
            raise UserError(f"--key={asked}: no such key. {near(asked, values)}")
        if not isinstance(values[asked], int | float) or not values[asked] > 0:
            raise UserError(f"--key={asked}: it is {values[asked]!r}, no learning rate")
        return asked, float(values[asked])
    found = [key for key in values if key.rpartition(".")[2] == "learning_rate"]
    if len(found) != 1 or not isinstance(values[found[0]], int | float):
        return None, None
    return found[0], float(values[found[0]])


def say(result: Any, key: str | None, path: pathlib.Path) -> None:
    """Prints what was found."""
    first, least = result.smoothed[0], result.smoothed.min()
    print(f"smoothed loss {first:.4g} at first, {least:.4g} at least")
    if not result.fell:
        print("the loss did not fall at any rate: there is nothing to suggest")
    else:
        option = f"--config.{key}=" if key else ""
        for rate, why in (
            (result.steepest, "where the loss falls fastest"),
            (result.tenth, f"a tenth of {result.lowest:.2g}, where it is lowest"),
        ):
            print(f"  {option}{rate:.2g}  {why}")
        print("either is the highest rate of a schedule, for this batch size")
    if not result.diverged:
        print(f"it did not diverge up to {result.rates[-1]:.2g}: see also --end")
    print(f"  {path}  the picture")


def draw(result: Any, title: str, path: pathlib.Path) -> None:
    """The loss over the rate, and the rates that are suggested."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from fdl.train.folder import writing

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot(result.rates, result.losses, color="0.75", label="loss")
    axes.plot(result.rates, result.smoothed, color="tab:blue", label="smoothed")
    if result.fell:
        for rate, color, label in (
            (result.steepest, "tab:green", "falls fastest"),
            (result.tenth, "tab:orange", "a tenth of the lowest"),
        ):
            text = f"{label}: {rate:.2g}"
            axes.axvline(rate, color=color, linestyle="--", label=text)
    # What diverged would leave no room for the rest.
    low, first = result.losses.min(), result.smoothed[0]
    room = max(first - low, 0.1 * abs(first))
    axes.set_ylim(low - 0.1 * room, first + room)
    axes.set_xscale("log")
    axes.set_xlabel("learning rate")
    axes.set_ylabel("loss of a batch")
    axes.set_title(title)
    axes.grid(alpha=0.3)
    axes.legend()
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=110)
