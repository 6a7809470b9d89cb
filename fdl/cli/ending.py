"""What is said of a run that ended early."""

import pathlib
import shlex


def ended_early(rule, workdir: pathlib.Path, step: int, num_steps: int) -> str:
    """When a run ended and why, what was best, and how to go back to that.

    Args:
      rule: By which it ended.
      workdir: The folder of the run.
      step: At which it ended.
      num_steps: At which it would have ended.
    """
    from fdl.train import stopping
    from fdl.train.checkpoint import Checkpoints

    seen = [*stopping.evaluations(rule, workdir, step)]
    at, value = stopping.best(rule, seen)
    several = isinstance(seen[0][1], list)
    count = f"{rule.patience} evaluation{'s' if rule.patience > 1 else ''}"
    more = f" by more than {rule.min_delta:g}" if rule.min_delta else ""
    there = f"fdl eval {shlex.quote(str(workdir))} --checkpoint {at}"
    if at not in Checkpoints(workdir / "checkpoints").steps():
        there = "no checkpoint of it was kept, see config.best and config.save_every"
    return (
        f"stopped early, at step {step} of {num_steps}: "
        f"{'no seed got' if several else 'it did not get'} a better {rule.metric}"
        f"{more} in {count}. The best{' on average' if several else ''} was "
        f"{value:.5g}, at step {at}: {there}"
    )
