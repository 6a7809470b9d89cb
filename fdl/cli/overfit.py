"""`fdl overfit`: overfit one batch, or diagnose why that fails."""

import argparse
from collections.abc import Sequence

from ml_collections import ConfigDict

from fdl import diagnostics
from fdl.cli.arguments import add_experiment
from fdl.cli.console import say
from fdl.config import flat
from fdl.errors import RunError, UserError
from fdl.runs.first_batch import first_batch

# Config keys of regularisation, which keeps a model from overfitting; all that end with
# "dropout" count as well.
REGULARISATION = (
    *("drop_path", "stochastic_depth", "smoothing", "label_smoothing"),
    *("weight_decay", "l1", "l2", "gradient_noise"),
    *("mixup", "cutmix", "cutout"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    add_experiment(parser)
    parser.add_argument(
        "--steps", type=int, default=1000, metavar="N", help="at most (default: 1000)"
    )
    parser.add_argument(
        "--target", type=float, metavar="LOSS", help="default: a hundredth of the first"
    )


def main(options: argparse.Namespace) -> int:
    """Trains on the first batch until its loss is near zero."""
    if options.steps < 1:
        raise UserError(f"--steps={options.steps}: expected at least 1")
    if options.target is not None and not options.target > 0:
        raise UserError(f"--target={options.target:g}: expected more than zero")
    switched: list[str] = []

    # They depend on the config, which is known only when the experiment is loaded.
    def more_overrides(config: ConfigDict) -> list[str]:
        switched.extend(switched_off(config, options.overrides))
        return [f"num_steps={options.steps}", "num_epochs=none", *switched]

    first = first_batch(
        options.experiment, options.overrides, more_overrides=more_overrides
    )
    size = first.num_examples
    say(f"{first.loaded.name}: the first batch of {size} examples, again and again")
    for assignment in switched:
        say(f"  --config.{assignment}, so that nothing holds it back")
    result = diagnostics.overfit(
        first.experiment.learner,
        first.state,
        first.batch,
        num_steps=options.steps,
        target=options.target,
    )
    before, after, steps = result.losses[0], result.losses[-1], len(result.losses)
    say(f"loss {before:.4g} at the beginning, {after:.4g} at step {steps}")
    if result.reached:
        say(f"overfitted: the loss is below {result.target:.3g}")
        return 0
    reasons = diagnostics.diagnose_overfit(result)
    for line in reasons:
        say(f"  {line}")
    raise RunError(f"the loss did not fall below {result.target:.3g}: {reasons[0]}")


def switched_off(config: ConfigDict, overrides: Sequence[str]) -> list[str]:
    """Assignments that turn off regularisation, where no override has set it."""
    overridden = {assignment.partition("=")[0] for assignment in overrides}
    return [
        f"{path}=0"
        for path, value in flat(config).items()
        if _regularises(path.rpartition(".")[2])
        and isinstance(value, int | float)
        and value
        and path not in overridden
    ]


def _regularises(key: str) -> bool:
    return key.endswith("dropout") or key in REGULARISATION
