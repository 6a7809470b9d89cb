"""`fdl compare`: compare two runs on the same examples."""

import argparse
import csv
import io
from collections.abc import Mapping, Sequence

from rich.table import Table

from fdl import evaluation
from fdl.cli.arguments import add_checkpoint, add_seed, existing_output_path
from fdl.cli.console import console, warn
from fdl.errors import UserError
from fdl.evaluation import ExampleScores
from fdl.metrics.paired_comparison import Changes, Comparison
from fdl.runs.directory import write_text
from fdl.runs.tested_model import TestedModel, tested_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument("first", help="directory of a run")
    parser.add_argument("second", help="directory of another run")
    add_checkpoint(parser)
    add_seed(parser)
    parser.add_argument(
        "--experiment",
        metavar="FILE",
        action="append",
        help="an experiment's file that moved, changed, or came from elsewhere: once "
        "for both runs, or once for each",
    )
    parser.add_argument("--output", help="a .csv file of the examples that differ")


def main(options: argparse.Namespace) -> int:
    """Prints the difference of each metric, with its interval and p-value."""
    output = existing_output_path(options.output, (".csv",))
    given = options.experiment or [None]
    if len(given) > 2:
        raise UserError(f"--experiment: expected at most 2, got {len(given)}")
    runs = [
        tested_model(
            workdir,
            warn,
            checkpoint=options.checkpoint,
            seed=options.seed,
            experiment_file=file,
        )
        for workdir, file in ((options.first, given[0]), (options.second, given[-1]))
    ]
    # Differences are paired by example, which is why the examples must be the same.
    check_same_test(*runs)
    first, second = (evaluation.score_examples(x.examples, x.variables) for x in runs)
    comparisons = {
        name: evaluation.compare(first[name], second[name])
        for name in shared_metrics(first, second)
    }
    out = console()
    for letter, run in zip("AB", runs, strict=True):
        out.print(f"{letter}: {run.workdir}, step {run.step}")
    size = len(first[next(iter(comparisons))].sums)
    out.print(f"on the same {size} examples of the test")
    out.print(table(comparisons))
    changes = None
    if "accuracy" in comparisons:
        changes = evaluation.changes(first["accuracy"], second["accuracy"])
        out.print(changes_in_words(changes))
    if output:
        write_text(output, as_csv(first, second, [*comparisons], changes))
        out.print(f"  {output}  example by example")
    return 0


def shared_metrics(
    first: Mapping[str, ExampleScores], second: Mapping[str, ExampleScores]
) -> list[str]:
    """Names of the metrics that both runs have, with a value for each example.

    Raises:
      UserError: The runs share no metric.
    """
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


def check_same_test(first: TestedModel, second: TestedModel) -> None:
    """Raises `UserError` if two runs were tested on different data."""
    fingerprints = [run.examples.batches.fingerprint for run in (first, second)]
    if fingerprints[0] != fingerprints[1]:
        raise UserError(
            f"{first.workdir} ({first.name}) and {second.workdir} ({second.name}) are "
            "tested on different data: there is nothing to pair"
        )


def table(comparisons: Mapping[str, Comparison]) -> Table:
    """Table of one row for each metric."""
    rows = Table()
    rows.add_column("metric")
    for name in ("A", "B", "B - A", "95 % interval", "p"):
        rows.add_column(name, justify="right", no_wrap=True)
    for name, comparison in comparisons.items():
        rows.add_row(
            name,
            f"{comparison.first:.5g}",
            f"{comparison.second:.5g}",
            f"{comparison.difference:+.3g}",
            f"{comparison.low:+.3g} .. {comparison.high:+.3g}",
            f"{comparison.p_value:.2g}",
        )
    return rows


def changes_in_words(changes: Changes) -> str:
    """Numbers and first indices of the examples that only one model has right."""

    def brief(indices):
        first = ", ".join(map(str, indices[:10]))
        more = ", ..." if len(indices) > 10 else ""
        return f"{len(indices)} ({first}{more})" if len(indices) else "none"

    return (
        f"only B has right: {brief(changes.gained)}; only A: {brief(changes.lost)}; "
        f"McNemar's p {changes.p_value():.2g}"
    )


def as_csv(
    first: Mapping[str, ExampleScores],
    second: Mapping[str, ExampleScores],
    names: Sequence[str],
    changes: Changes | None,
) -> str:
    """CSV of the examples that only one model has right; all, without accuracy.

    Args:
      first: Scores of run A by metric.
      second: Scores of run B by metric.
      names: Metrics to write, two columns each.
      changes: Examples that only one model has right; None if there is no accuracy.
    """
    better: dict[int, str] = {}
    if changes is not None:
        better = {int(i): "B" for i in changes.gained}
        better |= {int(i): "A" for i in changes.lost}
    # All columns of A and B in turn, metric by metric, as in the header.
    columns = [values[name].values for name in names for values in (first, second)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    header = [f"{name}_{letter}" for name in names for letter in "AB"]
    writer.writerow(["example", *(["right"] if changes is not None else []), *header])
    count = len(columns[0])
    for i in range(count) if changes is None else sorted(better):
        right = [better[i]] if changes is not None else []
        writer.writerow([i, *right, *(f"{column[i]:.7g}" for column in columns)])
    return text.getvalue()
