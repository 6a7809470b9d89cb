"""`fdl overfit`: learn one batch by heart, or say what stands in the way."""

import argparse
from collections.abc import Sequence

from fdl.cli.show import flat

# What keeps a model from learning by heart; beside all that ends with "dropout".
HOLDING_BACK = (
    *("drop_path", "stochastic_depth", "smoothing", "label_smoothing"),
    *("weight_decay", "l1", "l2", "gradient_noise"),
    *("mixup", "cutmix", "cutout"),
)


def main(options: argparse.Namespace) -> int:
    """Learns the first batch until its loss is near zero."""
    from fdl import tools
    from fdl.cli import trial
    from fdl.errors import RunError, UserError

    if options.steps < 1:
        raise UserError(f"--steps={options.steps}: expected at least 1")
    if options.target is not None and not options.target > 0:
        raise UserError(f"--target={options.target:g}: expected more than zero")
    off: list[str] = []

    def overrides(config) -> list[str]:
        off.extend(switched_off(config, options.overrides))
        return [f"num_steps={options.steps}", "num_epochs=none", *off]

    made = trial.begin(options, overrides)
    size = trial.num_examples(made.batch)
    print(f"{made.loaded.name}: the first batch of {size} examples, again and again")
    for assignment in off:
        print(f"  --config.{assignment}, so that nothing holds it back")
    result = tools.overfit(
        made.experiment.learner,
        made.state,
        made.batch,
        num_steps=options.steps,
        target=options.target,
    )
    first, last, steps = result.losses[0], result.losses[-1], len(result.losses)
    print(f"loss {first:.4g} at the beginning, {last:.4g} at step {steps}")
    if result.reached:
        print(f"learnt by heart: the loss is below {result.target:.3g}")
        return 0
    reasons = tools.obstacles(result)
    for line in reasons:
        print(f"  {line}")
    raise RunError(f"the loss did not fall below {result.target:.3g}: {reasons[0]}")


def switched_off(config, given: Sequence[str]) -> list[str]:
    """Assignments that turn off what holds a model back, if nobody has set it."""
    known = {assignment.partition("=")[0] for assignment in given}
    return [
        f"{path}=0"
        for path, value in flat(config).items()
        if _holds_back(path.rpartition(".")[2])
        and isinstance(value, int | float)
        and value
        and path not in known
    ]


def _holds_back(key: str) -> bool:
    return key.endswith("dropout") or key in HOLDING_BACK
