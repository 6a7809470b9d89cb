"""`fdl eval`: evaluate a checkpoint of a run."""

import argparse


def main(options: argparse.Namespace) -> int:
    """Evaluates the latest checkpoint, the best or that of a step."""
    from fdl.cli.output import terminal
    from fdl.cli.progress import show_metrics
    from fdl.cli.recorded import opened, restore
    from fdl.train import verdicts

    run = opened(options.workdir, options.experiment)
    config = run.loaded.config
    step, carry = restore(run.workdir, run.setting, config, options.checkpoint)
    values = run.setting.evaluate(carry.state)
    console = terminal()
    console.print(f"{run.loaded.name}, evaluation at step {step}")
    show_metrics(console, values)
    for verdict in verdicts.verdicts(run.experiments[0].claims, values):
        console.print(str(verdict))
    return 0
