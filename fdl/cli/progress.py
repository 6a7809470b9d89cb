"""Progress and results of a run: a bar on a terminal, plain lines elsewhere."""

import datetime
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column, Table

from fdl.cli.console import print_table, say
from fdl.errors import printable
from fdl.metrics.names import in_order
from fdl.metrics.t_interval import interval
from fdl.runs.session import Show, progress
from fdl.types import NOTHING, Batches


@contextmanager
def shown(
    console: Console, batches: Batches, start: int, num_steps: int
) -> Iterator[tuple[Show, Callable[[str], None]]]:
    """Displays the progress of a run from ``start`` to ``num_steps``.

    Args:
      console: Console to print on.
      batches: Batches of the run, for its unit and its epochs.
      start: Step from which the run goes on.
      num_steps: Number of steps of the run.

    Yields:
      ``show(step, split, values, steps_per_second)``, whose speed is None if it is not
      known; and ``show_samples(text)``, for what a model generates.
    """
    if not console.is_terminal:

        def print_line(step, split, values, speed):
            parts = [f"step {step}/{num_steps}", f"{split:5}"]
            parts.append(_describe(batches, step, values))
            parts += _pace(batches, num_steps - step, speed)
            say("  ".join(parts), flush=True)

        yield print_line, lambda text: say(_indented(text), flush=True)
        return

    columns = (
        TextColumn("step {task.completed}/{task.total}", table_column=_column()),
        BarColumn(bar_width=8),
        TextColumn("{task.description}", table_column=_column(ratio=1), markup=False),
        TextColumn("{task.fields[speed]}", table_column=_column()),
    )
    with Progress(*columns, console=console, expand=True) as bar:
        task = bar.add_task("compiling", total=num_steps, completed=start, speed="")

        def show(step, split, values, speed):
            text = _describe(batches, step, values)
            bar.update(task, completed=step)
            if split == "train":
                pace = "  ".join(_pace(batches, num_steps - step, speed))
                bar.update(task, description=text, speed=pace)
            else:
                bar.console.print(f"step {step}  {split}  {text}")

        def show_samples(text):
            bar.console.print(_indented(text), markup=False, highlight=False)

        yield show, show_samples


def _indented(text: str) -> str:
    """Lines of a text that a model generates, with nothing that a terminal obeys."""
    return "\n".join(f"  | {printable(line)}" for line in text.split("\n"))


def _column(ratio: int | None = None) -> Column:
    """Column that is one line high; without room, the one with a ratio is cut first."""
    return Column(no_wrap=True, overflow="ellipsis", ratio=ratio)


def _describe(batches: Batches, step: int, values: Mapping[str, Any]) -> str:
    position = [f"{name} {x:,.4g}" for name, x in progress(batches, step).items()]
    # A narrow terminal cuts the end, where what matters least is.
    numbers = [f"{name} {brief(values[name])}" for name in in_order(values)]
    return printable("  ".join([*position, *numbers]))


def _pace(batches: Batches, steps_left: int, speed: float | None) -> list[str]:
    """Speed in examples, or another unit, and the time of the steps that are left."""
    if speed is None:
        return []
    unit = batches.unit if batches.per_step else "steps"
    left = datetime.timedelta(seconds=round(steps_left / speed))
    rate = speed * (batches.per_step or 1)
    number = f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"
    return [f"{number} {unit}/s", f"{left} left"]


def brief(value: Any) -> str:
    """Number in four significant digits; of several seeds, their mean."""
    return f"{np.mean(value):.4g}"


def show_metrics(
    console: Console,
    values: Mapping[str, Any],
    what: str = "",
    signatures: Mapping[str, str] = NOTHING,
) -> None:
    """Prints a table of the final metrics, and below it their signatures.

    Args:
      console: Console to print on.
      values: Metrics by name: floats, or one value for each seed or fold [S].
      what: "fold" prints a table with a column for each fold before; default: none.
      signatures: How metrics are computed, by name.
    """
    values = {name: values[name] for name in in_order(values)}
    if what:
        print_table(console, each(values, what))
    print_table(console, table(values))
    for name in values:
        if name in signatures:
            console.print(f"{name}: {signatures[name]}")


def table(values: Mapping[str, Any]) -> Table:
    """Table of final metrics; of several seeds, with standard error and interval."""
    several = any(np.ndim(value) for value in values.values())
    heads = ["mean ± s.e.", "95 % interval", "least .. greatest"]
    result = _table("metric", *(heads if several else ["value"]))
    for name, value in values.items():
        if not several:
            result.add_row(name, f"{value:.5g}")
            continue
        mean, error, low, high = interval(value, name)
        result.add_row(
            name,
            f"{mean:.5g} ± {error:.2g}",
            f"{low:.4g} .. {high:.4g}",
            f"{np.min(value):.4g} .. {np.max(value):.4g}",
        )
    return result


def each(values: Mapping[str, Any], what: str) -> Table:
    """Table of final metrics, with a column for each seed or fold."""
    count = max((np.size(value) for value in values.values()), default=0)
    result = _table("metric", *(f"{what} {k}" for k in range(count)))
    for name, value in values.items():
        result.add_row(name, *(f"{x:.4g}" for x in np.atleast_1d(value)))
    return result


def _table(first: str, *rest: str) -> Table:
    return Table(first, *(Column(name, justify="right") for name in rest))
