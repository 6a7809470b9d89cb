"""`fdl runs`: table of runs, what differs in their configs and what they reached."""

import argparse
import json
import operator
import pathlib
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from rich.table import Table

from fdl.cli.compare_csv import as_csv
from fdl.cli.console import console, print_table, say, write
from fdl.errors import UserError, near
from fdl.metrics.t_interval import interval
from fdl.runs.run_table import Row, columns_of, differing, mean, read_row, run_folders

CONDITION = re.compile(r"([^<>=!]+)(<=|>=|!=|=|<|>)(.*)")
SHOWN = (
    *("run", "state", "step", "seeds", "experiment", "metric"),
    *("best", "validation", "test"),
)
SHARED = ("experiment", "metric")
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument(
        "folders",
        nargs="*",
        default=["runs"],
        metavar="FOLDER",
        help="a run, or a folder with runs in it (default: runs)",
    )
    parser.add_argument("--sort", metavar="COLUMN", help="such as test/accuracy")
    parser.add_argument("--reverse", action="store_true", help="the greatest first")
    parser.add_argument(
        "--where",
        metavar="CONDITION",
        action="append",
        default=[],
        help="such as state=finished, optimizer.learning_rate<=0.01 or best/loss<0.1; "
        "several: all of them",
    )
    parser.add_argument(
        "--format",
        choices=("table", "csv", "json"),
        default="table",
        help="csv and json have all columns; of seeds and folds, csv has the means",
    )


def main(options: argparse.Namespace) -> int:
    """Prints a row for each run, from its folder alone."""
    for folder in options.folders:
        if not pathlib.Path(folder).is_dir():
            raise UserError(f"there is no folder {folder!r}: fdl runs FOLDER")
    rows = [read_row(x) for folder in options.folders for x in run_folders(folder)]
    if not rows:
        raise UserError(f"there is no run in {' or '.join(options.folders)}")
    columns = columns_of(rows)
    named = []
    for condition in options.where:
        column, fits = parse_condition(condition, columns)
        rows = [row for row in rows if fits(row.get(column))]
        named.append(column)
    if options.sort is not None:
        named.append(find_column(options.sort, columns, "--sort"))
        rows = in_order_of(rows, named[-1], reverse=options.reverse)
    if not rows:
        raise UserError(f"no run fits --where={' --where='.join(options.where)}")
    if options.format == "json":
        say(json.dumps(rows, indent=2))
    elif options.format == "csv":
        cells = [[csv_cell(row.get(key)) for key in columns] for row in rows]
        write(as_csv([columns, *cells]))
    else:
        print_table(console(), table(rows, named))
    return 0


def parse_condition(
    text: str, columns: Sequence[str]
) -> tuple[str, Callable[[Any], bool]]:
    """Column of a condition ``COLUMN<=VALUE``, and a function that tests its value.

    Values are compared as numbers if both are, of seeds by their mean; else as texts,
    for equality only. What a run lacks fits no condition but ``!=``.

    Raises:
      UserError: It has another form, or there is no such column.
    """
    match = CONDITION.fullmatch(text)
    if match is None:
        raise UserError(f"--where={text}: expected COLUMN=VALUE; also !=, <, <=, >, >=")
    name, sign, expected = (part.strip() for part in match.groups())
    column, compare = find_column(name, columns, "--where"), COMPARISONS[sign]

    def fits(value: Any) -> bool:
        number, other = as_number(value), as_number(expected)
        if number is not None and other is not None:
            return compare(number, other)
        return sign in ("=", "!=") and compare(str(value).lower(), expected.lower())

    return column, fits


def find_column(name: str, columns: Sequence[str], option: str) -> str:
    """Column of a name, for which a key of the config needs no ``config.`` in front."""
    for column in (name, f"config.{name}"):
        if column in columns:
            return column
    short = [column.removeprefix("config.") for column in columns]
    raise UserError(f"{option}={name}: no run has it. {near(name, short)}")


def in_order_of(rows: Sequence[Row], column: str, *, reverse: bool) -> list[Row]:
    """Rows sorted by a column, numbers before texts; without a value, last."""

    def key(row: Row) -> tuple[bool, float, str]:
        number = as_number(row[column])
        return number is None, number or 0.0, str(row[column])

    def missing(row: Row) -> bool:
        # NaN has no place in an order.
        return row.get(column) in (None, "") or np.isnan(as_number(row[column]) or 0.0)

    there = [row for row in rows if not missing(row)]
    rest = [row for row in rows if missing(row)]
    return sorted(there, key=key, reverse=reverse) + rest


def table(rows: Sequence[Row], named: Sequence[str]) -> Table:
    """Table of runs with the metric that each calls best, and further columns.

    Args:
      rows: Rows of the runs.
      named: Further columns to show.
    """
    different = differing(rows)
    texts = [
        {
            **{key: cell(row.get(key)) for key in SHOWN},
            "config": ", ".join(f"{k}={v}" for k, v in changes.items()),
            **{key: cell(row.get(key)) for key in dict.fromkeys(named)},
            "problem": cell(row.get("problem")),
        }
        for row, changes in zip(rows, different, strict=True)
    ]
    keys = [key for key in texts[0] if key in named or any(x[key] for x in texts)]
    if "test" in keys:  # A run that has one has little use for its last validation.
        keys = [key for key in keys if key != "validation" or key in named]
    # What all runs share is said once, above.
    shared = [
        key for key in SHARED if key in keys and len({x[key] for x in texts}) == 1
    ]
    title = ", ".join(f"{key} {texts[0][key]}" for key in shared)
    keys = [key for key in keys if key not in {*shared} - {*named}]
    result = Table(*keys, title=title or None, title_justify="left")
    for text in texts:
        result.add_row(*(text[key] for key in keys))
    return result


def cell(value: Any) -> str:
    """Text of a value; of seeds and folds, their mean and its standard error."""
    number = as_number(value)
    if value is None or isinstance(value, str) or number is None:
        return "" if value is None else str(value)
    if isinstance(value, list):
        return f"{number:.4g} ± {interval(np.array(value, np.float64))[1]:.2g}"
    return str(value) if isinstance(value, int) else f"{number:.5g}"


def csv_cell(value: Any) -> Any:
    """Value for CSV: of seeds and folds, their mean."""
    number = as_number(value)
    return number if isinstance(value, list) and number is not None else value


def as_number(value: Any) -> float | None:
    """Number of a value or a text, mean of several seeds; None if it is none."""
    if value is None or isinstance(value, bool | tuple):
        return None
    try:
        return mean(value)
    except (TypeError, ValueError, OverflowError):
        return None
