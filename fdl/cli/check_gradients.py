"""`fdl check-gradients`: hold an experiment's gradients against finite differences."""

import argparse
import math
from collections.abc import Sequence


def main(options: argparse.Namespace) -> int:
    """Checks every group of parameters, and names the worst."""
    import jax

    from fdl import tools
    from fdl.cli import trial
    from fdl.cli.output import terminal
    from fdl.errors import RunError, UserError

    for name in ("examples", "directions"):
        if getattr(options, name) < 1:
            raise UserError(f"--{name}={getattr(options, name)}: expected at least 1")
    if not 0 < options.tolerance < 1:
        raise UserError(f"--tolerance={options.tolerance:g}: expected between 0 and 1")
    made = trial.begin(options)
    count = min(options.examples, trial.num_examples(made.batch))
    batch = jax.tree.map(lambda x: x[:count], made.batch)
    key = jax.random.fold_in(made.state.key, made.state.step)
    subject = made.experiment.learner.objective, made.state.variables, batch, key
    types = tools.rounded(*subject)
    precision = tools.SINGLE if types == "float32" else tools.DOUBLE
    tolerance = max(options.tolerance, precision.sharpest)
    checks = tools.check_gradients(
        *subject,
        num_directions=options.directions,
        tolerance=tolerance,
        precision=precision,
    )
    console = terminal()
    console.print(table(checks, tolerance))
    if types == "float32":
        console.print(
            "Something on the way computes in float32 whatever it is given, as JAX's "
            f"attention does: so differences are good to {tolerance:g} only."
        )
    for line in remarks(checks):
        console.print(line)
    bad = [check for check in checks if not check.good]
    if not bad:
        print(f"all {len(checks)} gradients are right, to {tolerance:g}")
        return 0
    worst = max(bad, key=severity)
    text = f"{len(bad)} of {len(checks)} gradients are wrong, worst of {worst.name!r}: "
    text += f"off by {worst.difference:.2g}, allowed {tolerance:g}"
    if math.isnan(worst.difference):
        text = f"{worst.name!r} has kinks only: its gradient cannot be compared"
    if types and types != "float32":
        text += f"; on the way the loss is rounded to {types}, which cannot be checked"
    raise RunError(text)


def severity(check) -> float:
    """How bad a leaf is; one that could not be compared is the least."""
    return 0.0 if math.isnan(check.difference) else check.difference


def table(checks: Sequence, tolerance: float):
    """One line for each leaf."""
    from rich.table import Table

    made = Table()
    made.add_column("parameters", overflow="fold")
    for name in ("count", "gradient norm", "difference"):
        made.add_column(name, justify="right", no_wrap=True)
    made.add_column("verdict")
    for check in checks:
        shown = "-" if math.isnan(check.difference) else f"{check.difference:.1e}"
        row = (f"{check.size:,}", f"{check.norm:.3g}", shown, verdict(check, tolerance))
        made.add_row(check.name, *row)
    return made


def verdict(check, tolerance: float) -> str:
    """What to think of a leaf, in a word or two."""
    if not check.good:
        return "kinks only" if math.isnan(check.difference) else "WRONG"
    if not check.norm:
        return "right: zero"
    if check.difference > tolerance:
        return "right: zero but for rounding"
    kinks = f", {check.kinks} of {check.directions} are kinks" if check.kinks else ""
    return f"right{kinks}"


def remarks(checks: Sequence) -> list[str]:
    """What else there is to say."""
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
