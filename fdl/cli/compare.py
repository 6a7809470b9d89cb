"""`fdl compare`: compare runs, on the same examples or over their seeds or folds."""

import argparse
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from rich.table import Table

from fdl import evaluation
from fdl.cli.arguments import add_checkpoint, existing_output_path
from fdl.cli.compare_csv import LETTERS, examples_as_csv, replicates_as_csv
from fdl.cli.compare_returns import draw_returns, returns_in_words, returns_of
from fdl.cli.console import console, print_table, warn
from fdl.errors import UserError
from fdl.metrics.names import in_order
from fdl.metrics.paired_comparison import Changes, Comparison
from fdl.metrics.replicate_comparison import holm, over_folds, over_seeds
from fdl.runs.directory import write_text
from fdl.runs.experiment import num_folds, replicates
from fdl.runs.open_run import Run, open_run
from fdl.runs.tested_model import tested_model, tested_replicates
from fdl.types import NOTHING

# Of each metric, the comparisons of all other runs with the first.
Comparisons = Mapping[str, Sequence[Comparison]]


class Report(NamedTuple):
    """Comparison of runs, to print and to write.

    Attributes:
      head: Lines in front of the table.
      comparisons: Comparisons by metric.
      notes: Lines behind the table.
      csv: Text of the CSV file.
      rows: What its rows are.
      returns: Returns of the seeds of each run, by its letter, if there are any.
    """

    head: list[str]
    comparisons: Comparisons
    notes: list[str]
    csv: str
    rows: str
    returns: Mapping[str, Any] = NOTHING


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument("first", help="directory of a run")
    parser.add_argument(
        "others",
        nargs="+",
        metavar="other",
        help="directory of another run; each is compared with the first",
    )
    add_checkpoint(parser)
    parser.add_argument(
        "--seed", type=int, help="compare the models of this seed, example by example"
    )
    parser.add_argument(
        "--experiment",
        metavar="FILE",
        action="append",
        help="an experiment's file that moved, changed, or came from elsewhere: once "
        "for all runs, or once for each",
    )
    parser.add_argument(
        "--output",
        help="a .csv file of the examples that differ, or of all seeds; or a .png of "
        "the performance profiles of returns",
    )


def main(options: argparse.Namespace) -> int:
    """Prints the difference of each metric, with its interval and p-value."""
    output = existing_output_path(options.output, (".csv", ".png"))
    workdirs = [options.first, *options.others]
    if len(workdirs) > len(LETTERS):
        raise UserError(f"{len(workdirs)} runs: expected at most {len(LETTERS)}")
    files = options.experiment or [None]
    if len(files) not in (1, len(workdirs)):
        raise UserError(
            f"--experiment: expected 1 or {len(workdirs)} of them, got {len(files)}"
        )
    files = files * len(workdirs) if len(files) == 1 else files
    runs = [
        open_run(workdir, warn, file)
        for workdir, file in zip(workdirs, files, strict=True)
    ]
    if options.seed is None and have_replicates(runs):
        report = compare_replicates(runs, options.checkpoint)
    else:
        report = compare_examples(runs, options.checkpoint, options.seed)
    out = console()
    for line in report.head:
        out.print(line)
    if len(runs) > 2:
        out.print(
            f"each against A: p is Holm's for {len(runs) - 1} comparisons, "
            "each interval is of one alone"
        )
    print_table(out, table(report.comparisons))
    for line in report.notes:
        out.print(line)
    if output is None:
        return 0
    if output.suffix == ".csv":
        write_text(output, report.csv)
        out.print(f"  {output}  {report.rows}")
        return 0
    draw_returns(report.returns, runs, output)
    out.print(f"  {output}  performance profiles and learning curves")
    return 0


def check_same_test(runs: Sequence[Run]) -> None:
    """Raises `UserError` if runs were tested on different data."""
    first, *others = runs
    for other in others:
        if data_of(first) != data_of(other):
            raise UserError(
                f"{first.workdir} ({first.loaded.name}) and {other.workdir} "
                f"({other.loaded.name}) are tested on different data: there is nothing "
                "to pair"
            )


def data_of(run: Run) -> str:
    """Fingerprint of the test; of folds, and without examples, that of the training."""
    examples = run.experiments[0].examples
    return (run.setup.batches if examples is None else examples.batches).fingerprint


def have_replicates(runs: Sequence[Run]) -> bool:
    """True if runs are of several seeds, or of as many folds each.

    Raises:
      UserError: Some are and some are not, or they are of other numbers of folds.
    """
    counts = [replicates(run.num_seeds, run.loaded.config) for run in runs]
    folds = {num_folds(run.loaded.config) for run in runs}
    if all(counts) and len(folds) == 1:
        return True
    if not any(counts):
        return False
    kinds = [
        f"{run.workdir} has {count or 'one seed'}"
        for run, count in zip(runs, counts, strict=True)
    ]
    hint = "there is nothing to pair" if any(folds) else "--seed N compares one of each"
    raise UserError(f"seeds or folds: {', '.join(kinds)}: {hint}")


def compare_examples(runs: Sequence[Run], checkpoint: str, seed: int | None) -> Report:
    """Compares one model of each run on the same examples of the test."""
    models = [tested_model(run, checkpoint=checkpoint, seed=seed) for run in runs]
    check_same_test(runs)
    scores = [evaluation.score_examples(x.examples, x.variables) for x in models]
    names = shared_metrics({k: v.sums.shape for k, v in x.items()} for x in scores)
    first, *others = scores
    comparisons = {
        name: [evaluation.compare(first[name], other[name]) for other in others]
        for name in names
    }
    changes = []
    if "accuracy" in names:
        changes = [evaluation.changes(first["accuracy"], x["accuracy"]) for x in others]
    size = len(first[names[0]].sums)
    head = titles(runs, [model.step for model in models])
    return Report(
        [*head, f"on the same {size} examples of the test"],
        comparisons,
        [changes_in_words(*pair) for pair in zip(LETTERS[1:], changes, strict=False)],
        examples_as_csv(scores, names),
        "example by example",
    )


def compare_replicates(runs: Sequence[Run], checkpoint: str) -> Report:
    """Compares runs by their metrics over seeds, or over folds."""
    check_same_test(runs)
    tested = [tested_replicates(run, checkpoint) for run in runs]
    names = shared_metrics(dict.fromkeys(x.metrics, x.split) for x in tested)
    counts = [replicates(run.num_seeds, run.loaded.config) for run in runs]
    folds, unit = num_folds(runs[0].loaded.config), "fold"
    members, tests = [range(folds)] * len(runs), [over_folds] * len(runs)
    if not folds:
        unit, members = "seed", [seeds_of(run) for run in runs]
        tests = [
            functools.partial(over_seeds, paired=own == members[0]) for own in members
        ]
    comparisons = {
        name: [
            test(tested[0].metrics[name], other.metrics[name])
            for test, other in zip(tests[1:], tested[1:], strict=True)
        ]
        for name in names
    }
    head = titles(runs, [x.step for x in tested])
    returns = returns_of([x.metrics for x in tested]) if unit == "seed" else {}
    over = f"the same {counts[0]}" if len({*members}) == 1 else ", ".join(counts)
    return Report(
        [*head, f"{tested[0].split} over {over}: {method_in_words(unit, members)}"],
        comparisons,
        returns_in_words(returns),
        replicates_as_csv(unit, members, [x.metrics for x in tested], names),
        f"{unit} by {unit}",
        returns,
    )


def seeds_of(run: Run) -> range:
    """Seeds of a run."""
    first = run.loaded.config.seed
    return range(first, first + run.num_seeds)


def method_in_words(unit: str, members: Sequence[range]) -> str:
    """Name of the test, and what it covers.

    Args:
      unit: "seed" or "fold".
      members: Seeds or folds of each run.
    """
    if unit == "fold":
        return "t-test of Nadeau and Bengio, as folds share their training data"
    first, *others = members
    kinds = {own == first for own in others}
    names = {True: "paired t-test", False: "Welch's t-test for other seeds than A's"}
    tests = " and ".join(names[paired] for paired in sorted(kinds, reverse=True))
    return f"{tests}; of the training, on these test examples alone"


def titles(runs: Sequence[Run], steps: Sequence[int]) -> list[str]:
    """Line of each run: its letter, its folder and the step of its checkpoint."""
    rows = zip(LETTERS, runs, steps, strict=False)
    return [f"{letter}: {run.workdir}, step {step}" for letter, run, step in rows]


def shared_metrics(of_runs: Iterable[Mapping[str, Any]]) -> list[str]:
    """Names of the metrics that all runs have, of equal kind.

    Args:
      of_runs: Kind of each metric of each run, by name.

    Raises:
      UserError: The runs share no metric.
    """
    first, *others = of_runs
    names = [x for x in first if all(first[x] == y.get(x) for y in others)]
    if not names:
        kinds = "; ".join(", ".join(metrics) for metrics in (first, *others))
        raise UserError(f"the runs share no metric: they have {kinds}")
    return in_order(names)


def table(comparisons: Comparisons) -> Table:
    """Table of a row for each metric, and for each run beside the first."""
    many = len(next(iter(comparisons.values()))) > 1
    heads = ("run", "A", "its", "its - A") if many else ("A", "B", "B - A")
    rows = Table("metric")
    for name in (*heads, "95 % interval", "p"):
        rows.add_column(name, justify="right")
    for name, each in comparisons.items():
        p_values = holm([comparison.p_value for comparison in each])
        for letter, comparison, p_value in zip(
            LETTERS[1:], each, p_values, strict=False
        ):
            rows.add_row(
                name,
                *([letter] if many else []),
                f"{comparison.first:.5g}",
                f"{comparison.second:.5g}",
                f"{comparison.difference:+.3g}",
                f"{comparison.low:+.3g} .. {comparison.high:+.3g}",
                f"{p_value:.2g}",
            )
    return rows


def changes_in_words(letter: str, changes: Changes) -> str:
    """Numbers and first indices of the examples that only one model has right."""

    def brief(indices):
        first = ", ".join(map(str, indices[:10]))
        more = ", ..." if len(indices) > 10 else ""
        return f"{len(indices)} ({first}{more})" if len(indices) else "none"

    return (
        f"only {letter} has right: {brief(changes.gained)}; only A: "
        f"{brief(changes.lost)}; McNemar's p {changes.p_value():.2g}"
    )
