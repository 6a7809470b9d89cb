"""`fdl compare`: two runs on the same examples."""

import argparse
import csv
import io
from collections.abc import Mapping
from typing import Any


def main(options: argparse.Namespace) -> int:
    """Says by how much each metric differs, and whether that may be chance."""
    from fdl import tools
    from fdl.cli import trained
    from fdl.cli.output import terminal
    from fdl.train.folder import write_text

    output = trained.output(options.output, (".csv",))
    runs = [trained.load(options, folder) for folder in (options.first, options.second)]
    check_same(*runs)
    first, second = (tools.score(run.predictor, run.state) for run in runs)
    compared = {
        name: tools.compare(first[name], second[name]) for name in shared(first, second)
    }
    console = terminal()
    for letter, run in zip("AB", runs, strict=True):
        console.print(f"{letter}: {run.workdir}, step {run.step}")
    size = len(first[next(iter(compared))].sums)
    console.print(f"on the same {size} examples of the test")
    console.print(table(compared))
    changes = None
    if "accuracy" in compared:
        changes = tools.changes(first["accuracy"], second["accuracy"])
        console.print(sides(changes))
    if output:
        write_text(output, as_csv(first, second, [*compared], changes))
        console.print(f"  {output}  example by example")
    return 0


def shared(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """The metrics that both runs have.

    Raises:
      UserError: There are none.
    """
    from fdl.errors import UserError

    names = [
        name
        for name in first
        if name in second and first[name].sums.shape == second[name].sums.shape
    ]
    if not names:
        raise UserError(
            f"the runs share no metric: one has {', '.join(first)}, the other "
            f"{', '.join(second)}"
        )
    return names


def check_same(first: Any, second: Any) -> None:
    """Refuses runs that were tested on different data.

    Raises:
      UserError: They were.
    """
    from fdl.errors import UserError

    prints = [run.predictor.test.fingerprint for run in (first, second)]
    if prints[0] != prints[1]:
        raise UserError(
            f"{first.workdir} ({first.name}) and {second.workdir} ({second.name}) are "
            "tested on different data: there is nothing to pair"
        )


def table(compared: Mapping[str, Any]):
    """One line for each metric."""
    from rich.table import Table

    made = Table()
    made.add_column("metric")
    for name in ("A", "B", "B - A", "95 % interval", "p"):
        made.add_column(name, justify="right", no_wrap=True)
    for name, found in compared.items():
        made.add_row(
            name,
            f"{found.first:.5g}",
            f"{found.second:.5g}",
            f"{found.difference:+.3g}",
            f"{found.low:+.3g} .. {found.high:+.3g}",
            f"{found.p_value:.2g}",
        )
    return made


def sides(changes: Any) -> str:
    """How many examples changed sides, and the first of them."""

    def shown(indices):
        first = ", ".join(map(str, indices[:10]))
        more = ", ..." if len(indices) > 10 else ""
        return f"{len(indices)} ({first}{more})" if len(indices) else "none"

    return (
        f"only B has right: {shown(changes.gained)}; only A: {shown(changes.lost)}; "
        f"McNemar's p {changes.p_value():.2g}"
    )


def as_csv(
    first: Mapping[str, Any],
    second: Mapping[str, Any],
    names: list[str],
    changes: Any,
) -> str:
    """The examples that changed sides; all of them, if there are no sides."""
    side: dict[int, str] = {}
    if changes is not None:
        side = {int(i): "B" for i in changes.gained}
        side |= {int(i): "A" for i in changes.lost}
    columns = [values[name].values for name in names for values in (first, second)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    header = [f"{name}_{letter}" for name in names for letter in "AB"]
    writer.writerow(["example", *(["right"] if changes is not None else []), *header])
    count = len(columns[0])
    for i in range(count) if changes is None else sorted(side):
        right = [side[i]] if changes is not None else []
        writer.writerow([i, *right, *(f"{column[i]:.7g}" for column in columns)])
    return text.getvalue()
