"""Progress and results of a run: a bar on a terminal, plain lines elsewhere."""

import datetime
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column, Table

from fdl.cli.console import console as plain_console
from fdl.cli.console import say
from fdl.errors import printable
from fdl.metrics.t_interval import interval
from fdl.runs.session import Show, progress
from fdl.types import Batches


@contextmanager
def shown(
    console: Console, batches: Batches, start: int, num_steps: int
) -> Iterator[Show]:
    """Displays the progress of a run from ``start`` to ``num_steps``.

    Args:
      console: Console to print on.
      batches: Batches of the run, for its speed and its epochs.
      start: Step from which the run goes on.
      num_steps: Number of steps of the run.

    Yields:
      ``show(step, split, values)``.
    """
    speed = _speed(batches, num_steps)
    if not console.is_terminal:

        def print_line(step, split, values):
            parts = [f"step {step}/{num_steps}", f"{split:5}"]
            parts.append(_describe(batches, step, values))
            parts += speed(step) if split == "train" else []
            say("  ".join(parts), flush=True)

        yield print_line
        return

    columns = (
        TextColumn("step {task.completed}/{task.total}", table_column=_column()),
        BarColumn(bar_width=8),
        TextColumn("{task.description}", table_column=_column(ratio=1), markup=False),
        TextColumn("{task.fields[speed]}", table_column=_column()),
    )
    with Progress(*columns, console=console, expand=True) as bar:
        task = bar.add_task("compiling", total=num_steps, completed=start, speed="")

        def show(step, split, values):
            text = _describe(batches, step, values)
            bar.update(task, completed=step)
            if split == "train":
                bar.update(task, description=text, speed="  ".join(speed(step)))
            else:
                bar.console.print(f"step {step}  {split}  {text}")

        yield show


def _column(ratio: int | None = None) -> Column:
    """Column that is one line high; without room, the one with a ratio is cut first."""
    return Column(no_wrap=True, overflow="ellipsis", ratio=ratio)


def _describe(batches: Batches, step: int, values: Mapping[str, Any]) -> str:
    position = [f"{name} {x:,.4g}" for name, x in progress(batches, step).items()]
    # The loss first and the gradient's norm last, as a narrow terminal cuts the end.
    names = sorted(values, key=lambda name: (name == "grad_norm") - (name == "loss"))
    numbers = [f"{name} {brief(values[name])}" for name in names]
    return printable("  ".join([*position, *numbers]))


def _speed(batches: Batches, num_steps: int) -> Callable[[int], list[str]]:
    """Function of the step that returns the speed and the remaining time."""
    calls: list[tuple[int, float]] = []
    unit = batches.unit if batches.per_step else "steps"

    def speed(step: int) -> list[str]:
        # Measured from the first call, which comes after the program was compiled.
        calls.append((step, time.perf_counter()))
        (first_step, began), (_, now) = calls[0], calls[-1]
        del calls[1:]
        if step == first_step:
            return []
        rate = (step - first_step) / (now - began)
        left = datetime.timedelta(seconds=round((num_steps - step) / rate))
        return [f"{rate * (batches.per_step or 1):,.0f} {unit}/s", f"{left} left"]

    return speed


def brief(value: Any) -> str:
    """Number in four significant digits; of several seeds, their mean."""
    return f"{np.mean(value):.4g}"


def show_metrics(console: Console, values: Mapping[str, Any], what: str = "") -> None:
    """Prints a table of the final metrics; without room, its last column is left out.

    Args:
      console: Console to print on.
      values: Metrics by name: floats, or one value for each seed or fold [S].
      what: "fold" prints a table with a column for each fold before; default: none.
    """
    if what:
        _print_uncut(console, each(values, what))
    metrics = table(values)
    if len(metrics.columns) > 2 and _width(console, metrics) > console.width:
        metrics.columns.pop()
    _print_uncut(console, metrics)


def table(values: Mapping[str, Any]) -> Table:
    """Table of final metrics; of several seeds, with standard error and interval."""
    several = any(np.ndim(value) for value in values.values())
    heads = ["mean ± s.e.", "95 % interval", "least .. greatest"]
    result = _table("metric", *(heads if several else ["value"]))
    for name, value in values.items():
        if not several:
            result.add_row(name, f"{value:.5g}")
            continue
        mean, error, half = interval(value)
        result.add_row(
            name,
            f"{mean:.5g} ± {error:.2g}",
            f"{mean - half:.4g} .. {mean + half:.4g}",
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
    columns = (Column(name, justify="right", no_wrap=True) for name in rest)
    return Table(Column(first, no_wrap=True), *columns)


def _width(console: Console, table: Table) -> int:
    unbounded = console.options.update(width=10_000)
    return console.measure(table, options=unbounded).maximum


def _print_uncut(console: Console, table: Table) -> None:
    """Prints a table in full width, also on a narrow terminal."""
    # Lines that the terminal wraps are better than numbers that Rich cuts.
    width = max(console.width, _width(console, table))
    plain_console(file=console.file, width=width).print(table)
