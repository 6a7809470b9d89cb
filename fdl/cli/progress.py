"""What a user sees of a run: a bar on a terminal, plain lines elsewhere."""

import datetime
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column, Table

from fdl.metrics.t_interval import interval
from fdl.runs.session import Show, progress
from fdl.types import Batches


@contextmanager
def shown(
    console: Console, batches: Batches, start: int, num_steps: int
) -> Iterator[Show]:
    """Shows a run from ``start`` to ``num_steps`` while it goes on.

    Yields:
      ``show(step, split, values)``.
    """
    speed = _speed(batches, num_steps)
    if not console.is_terminal:

        def print_line(step, split, values):
            parts = [f"step {step}/{num_steps}", f"{split:5}"]
            parts.append(_describe(batches, step, values))
            parts += speed(step) if split == "train" else []
            print("  ".join(parts), flush=True)

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
    """One line high; what has no room is cut off, in the column with a ratio first."""
    return Column(no_wrap=True, overflow="ellipsis", ratio=ratio)


def _describe(batches: Batches, step: int, values: Mapping[str, Any]) -> str:
    where = [f"{name} {x:,.4g}" for name, x in progress(batches, step).items()]
    # What matters comes first: a narrow terminal cuts off the rest.
    names = sorted(values, key=lambda name: (name == "grad_norm") - (name == "loss"))
    numbers = [f"{name} {brief(values[name])}" for name in names]
    return "  ".join([*where, *numbers])


def _speed(batches: Batches, num_steps: int) -> Callable[[int], list[str]]:
    """Says how fast it goes, since it was first asked: behind the compiling."""
    first: list[tuple[int, float]] = []
    unit = batches.unit if batches.per_step else "steps"

    def speed(step: int) -> list[str]:
        first.append((step, time.perf_counter()))
        (since, began), (_, now) = first[0], first[-1]
        del first[1:]
        if step == since:
            return []
        rate = (step - since) / (now - began)
        left = datetime.timedelta(seconds=round((num_steps - step) / rate))
        return [f"{rate * (batches.per_step or 1):,.0f} {unit}/s", f"{left} left"]

    return speed


def brief(value: Any) -> str:
    """A number in four digits; the mean where there are several seeds."""
    return f"{np.mean(value):.4g}"


def show_metrics(console: Console, values: Mapping[str, Any], what: str = "") -> None:
    """Prints final metrics, names in full: what does not fit comes off at the right.

    Args:
      console: Where to.
      values: By name; numbers, or arrays over seeds or folds.
      what: "fold" prints a column for each of those, before.
    """
    if what:
        _print_whole(console, each(values, what))
    whole = table(values)
    if len(whole.columns) > 2 and _width(console, whole) > console.width:
        whole.columns.pop()
    _print_whole(console, whole)


def table(values: Mapping[str, Any]) -> Table:
    """Final metrics; over several seeds with standard error and 95 % interval."""
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
    """Final metrics of each of several: a row for each metric, a column for each."""
    count = max((np.size(value) for value in values.values()), default=0)
    result = _table("metric", *(f"{what} {place}" for place in range(count)))
    for name, value in values.items():
        result.add_row(name, *(f"{x:.4g}" for x in np.atleast_1d(value)))
    return result


def _table(first: str, *rest: str) -> Table:
    columns = (Column(name, justify="right", no_wrap=True) for name in rest)
    return Table(Column(first, no_wrap=True), *columns)


def _width(console: Console, table: Table) -> int:
    unbounded = console.options.update(width=10_000)
    return console.measure(table, options=unbounded).maximum


def _print_whole(console: Console, table: Table) -> None:
    """A line that is too long for the window is better than one without its end."""
    width = max(console.width, _width(console, table))
    whole = Console(file=console.file, width=width, markup=False, emoji=False)
    whole.print(table)
