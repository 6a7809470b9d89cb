"""`fdl check-gradients`: compare an experiment's gradients with finite differences."""

import argparse
import math
from collections.abc import Sequence

import jax
from rich.table import Table

from fdl import diagnostics
from fdl.cli.arguments import add_experiment
from fdl.cli.console import console, print_table, say
from fdl.diagnostics import LeafCheck
from fdl.errors import RunError, UserError
from fdl.runs.first_batch import first_batch


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    add_experiment(parser)
    parser.add_argument(
        "--examples", type=int, default=8, metavar="N", help="of the batch (default: 8)"
    )
    parser.add_argument(
        "--directions", type=int, default=4, metavar="N", help="a leaf (default: 4)"
    )
    parser.add_argument(
        "--tolerance", type=float, default=1e-7, help="relative (default: 1e-7)"
    )


def main(options: argparse.Namespace) -> int:
    """Checks the gradient of every leaf of the parameters, and names the worst."""
    for name in ("examples", "directions"):
        if getattr(options, name) < 1:
            raise UserError(f"--{name}={getattr(options, name)}: expected at least 1")
    if not 0 < options.tolerance < 1:
        raise UserError(f"--tolerance={options.tolerance:g}: expected between 0 and 1")
    first = first_batch(options.experiment, options.overrides)
    count = min(options.examples, first.num_examples)
    batch = jax.tree.map(lambda x: x[:count], first.batch)
    learner = first.experiment.learner
    key, objective = jax.random.key(first.loaded.config.seed), learner.objective
    assert objective is not None  # As `first_batch` has checked.
    subject = objective, learner.variables(first.state), batch, key
    dtypes = diagnostics.rounded_dtypes(*subject)
    precision = diagnostics.SINGLE if dtypes == "float32" else diagnostics.DOUBLE
    # A tolerance below the error of the differences would fail right gradients.
    tolerance = max(options.tolerance, precision.min_tolerance)
    checks = diagnostics.check_gradients(
        *subject,
        num_directions=options.directions,
        tolerance=tolerance,
        precision=precision,
    )
    out = console()
    print_table(out, table(checks, tolerance))
    if dtypes == "float32":
        out.print(
            "Something on the way computes in float32 whatever it is given, as JAX's "
            f"attention does: so differences are good to {tolerance:g} only."
        )
    for line in remarks(checks):
        out.print(line)
    wrong = [check for check in checks if not check.passed]
    if not wrong:
        say(f"all {len(checks)} gradients are right, to {tolerance:g}")
        return 0
    worst = max(wrong, key=severity)
    text = f"{len(wrong)} of {len(checks)} gradients are wrong, worst of "
    text += f"{worst.name!r}: off by {worst.difference:.2g}, allowed {tolerance:g}"
    if math.isnan(worst.difference):
        text = f"{worst.name!r} has kinks only: its gradient cannot be compared"
    if dtypes and dtypes != "float32":
        text += f"; on the way the loss is rounded to {dtypes}, which cannot be checked"
    raise RunError(text)


def severity(check: LeafCheck) -> float:
    """Relative difference of a leaf; zero if it could not be compared."""
    return 0.0 if math.isnan(check.difference) else check.difference


def table(checks: Sequence[LeafCheck], tolerance: float) -> Table:
    """Table of one row for each leaf."""
    rows = Table("parameters")
    for name in ("count", "gradient norm", "difference"):
        rows.add_column(name, justify="right")
    rows.add_column("verdict")
    for check in checks:
        difference = "-" if math.isnan(check.difference) else f"{check.difference:.1e}"
        rows.add_row(
            check.name,
            f"{check.size:,}",
            f"{check.norm:.3g}",
            difference,
            verdict(check, tolerance),
        )
    return rows


def verdict(check: LeafCheck, tolerance: float) -> str:
    """Verdict on the gradient of a leaf, in a few words."""
    if not check.passed:
        return "kinks only" if math.isnan(check.difference) else "WRONG"
    if not check.norm:
        return "right: zero"
    if check.difference > tolerance:
        return "right: zero but for rounding"
    kinks = f", {check.kinks} of {check.directions} are kinks" if check.kinks else ""
    return f"right{kinks}"


def remarks(checks: Sequence[LeafCheck]) -> list[str]:
    """Explanations of kinks and of zero gradients."""
    lines = []
    if any(check.kinks for check in checks):
        lines.append(
            "A kink is where the slope differs from one side to the other, as that of "
            "a ReLU at zero. No difference quotient is its gradient: it is left out."
        )
    zero = [check.name for check in checks if not check.norm]
    if zero:
        lines.append(f"The loss does not depend on {', '.join(zero)}.")
    return lines
