"""`fdl replay`: a step of a run once more, and where it went wrong."""

import argparse
import pathlib
import shlex
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple


class Part(NamedTuple):
    """What a step of one seed is made of.

    Attributes:
      experiment: That of the seed.
      state: What there was before.
      item: What the batch is taken by.
    """

    experiment: Any
    state: Any
    item: Any


def main(options: argparse.Namespace) -> int:
    """Runs a step again, and names the first operation that went wrong."""
    import jax
    import jax.numpy as jnp

    from fdl.cli import loading
    from fdl.cli.output import terminal, warn
    from fdl.cli.recorded import opened
    from fdl.errors import NonFiniteError, UserError
    from fdl.train import blackbox

    workdir, loaded, seeds, experiments, setting = opened(
        options.workdir, options.experiment
    )
    step = chosen(options.step, workdir, setting.num_steps)
    try:
        carry, begun = blackbox.before(setting, workdir, step, warn)
    except NonFiniteError as error:
        raise UserError(f"--step={step}: {error}; say --step {error.step}") from error
    blackbox.check_batch(setting, workdir, step)
    console = terminal()
    say = console.print
    say(f"{loaded.name}: step {step} again, from the state of step {begun}")
    state = jax.tree.map(jnp.copy, carry.state)  # The other one is donated.
    after, metrics = blackbox.once(setting, carry, step)
    console.print(compared(metrics, logged(workdir, step)))
    bad = flawed(metrics) or flawed(after, state)
    if not bad:
        say(f"step {step}: all is finite")
        return 0
    part = Part(experiments[0], state, blackbox.item(setting, step))
    places = blackbox.places([*bad.values()]) or []
    if seeds > 1:
        part = alone(experiments, state, step, places[0])
        say(several("seed", [loaded.config.seed + place for place in places]))
    elif loading.num_folds(loaded.config):
        say(several("fold", places))
    for line in explained(part, {*bad}, loaded.path):
        say(line)
    return 0


@contextmanager
def kept(console, setting, workdir: pathlib.Path, stopped: list[int]) -> Iterator[None]:
    """Keeps the black box of a run that goes wrong, and says how to open it."""
    from fdl.errors import NonFiniteError, RunError
    from fdl.train import blackbox
    from fdl.train.digests import reason

    try:
        yield
    except NonFiniteError as error:
        traceback.clear_frames(error.__traceback__)  # They hold on to memory.
        command = f"fdl replay {shlex.quote(str(workdir))}"
        text = f"step {error.step} went wrong: going back, to keep what it was made of"
        console.print(text)
        try:
            blackbox.keep(setting, workdir, error, lambda: bool(stopped))
            told = f"{command} names the operation"
        except Exception as problem:  # Whatever it is, it hides not the first.
            told = f"no black box, {reason(problem)}: {command} --step {error.step}"
        raise RunError(f"{error}: {told}") from error


def chosen(asked: int | None, workdir: pathlib.Path, num_steps: int) -> int:
    """The step to replay: that of the black box, if none is asked for.

    Raises:
      UserError: There is no such step, or no black box.
    """
    from fdl.errors import UserError
    from fdl.train import blackbox

    if asked is None:
        kept = blackbox.description(workdir)
        if kept is None:
            raise UserError(
                f"{workdir} has no black box: no step of it is known to have gone "
                f"wrong. Name one with --step, 1 to {num_steps}"
            )
        if not isinstance(kept.get("step"), int):
            raise UserError(f"{workdir / 'blackbox'} is damaged: 'step' is missing")
        return kept["step"]
    if not 1 <= asked <= num_steps:
        raise UserError(f"--step={asked}: {workdir} has the steps 1 to {num_steps}")
    return asked


def flawed(tree: Any, before: Any = None) -> dict[str, Any]:
    """What of a tree is not finite, by name; and was so before, if that is given."""
    from fdl.tools import flaw
    from fdl.train.blackbox import named

    was = {} if before is None else named(before)
    return {
        name: leaf
        for name, leaf in named(tree).items()
        if flaw(leaf) and not (name in was and flaw(was[name]))
    }


def alone(experiments: Sequence[Any], state: Any, step: int, place: int) -> Part:
    """What one of several seeds has of a step."""
    import jax

    mine = jax.tree.map(lambda x: x[place], state)
    experiment = experiments[place]
    return Part(experiment, mine, next(experiment.batches.stream(step - 1)))


def several(noun: str, numbers: Sequence[int]) -> str:
    """Says which of several went wrong, and which of those is looked at."""
    if len(numbers) == 1:
        return f"{noun} {numbers[0]} went wrong"
    names = ", ".join(map(str, numbers))
    return f"the {noun}s {names} went wrong; this is {noun} {numbers[0]}"


def logged(workdir: pathlib.Path, step: int) -> Mapping[str, Any]:
    """What was logged of a step; nothing if it was logged together with others."""
    from fdl.train.report import lines

    rows = [
        row
        for row in lines(workdir / "metrics.jsonl")
        if any(name.startswith("train/") for name in row)
    ]
    steps = [row["step"] for row in rows]
    if step not in steps or (step > 1 and step - 1 not in steps):
        return {}
    return rows[steps.index(step)]


def compared(metrics: Mapping[str, Any], there: Mapping[str, Any]) -> Any:
    """A table of the metrics of a step, beside those that were logged of it."""
    import numpy as np
    from rich.table import Table

    from fdl.train.report import plain

    table = Table("metric", "value", *(["logged"] if there else []))
    for name, metric in metrics.items():
        value = np.asarray(metric.compute())
        if np.isnan(value).all() and not flawed(metric):
            continue  # It has seen nothing.
        row = [name, ", ".join(f"{x:.5g}" for x in np.atleast_1d(value))]
        ((key, number),) = plain({name: value}, "train").items()
        if there:
            row.append("the same" if there.get(key) == number else f"{there.get(key)}")
        table.add_row(*row)
    return table


def explained(part: Part, bad: set[str], path: pathlib.Path) -> Iterator[str]:
    """Says where what is not finite comes from, line by line."""
    import jax

    from fdl import tools
    from fdl.cli import origins
    from fdl.train.blackbox import named

    step, batches = part.experiment.learner.step, part.experiment.batches

    def outputs(state, data, item):
        after, metrics = step(state, batches.take(data, item))
        return {k: x for k, x in (named(after) | named(metrics)).items() if k in bad}

    # On one device: what was shared by several is looked at as a whole.
    given = jax.device_put((part.state, batches.data, part.item), jax.devices()[0])
    origin = tools.origin(outputs, *given)
    if origin is None:
        yield (
            "run in small parts, all is finite: it goes wrong only as it was compiled, "
            "or not every time"
        )
        return
    if origin.arguments:
        yield from (origins.of_argument(name, *given) for name in origin.arguments)
        return
    yield origins.headline(origin)
    yield from origins.details(origin, path)
