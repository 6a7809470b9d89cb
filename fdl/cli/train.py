"""`fdl train`: an experiment, from its file to its run folder."""

import argparse
import hashlib
import json
import pathlib
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

_BEGAN = time.perf_counter()


def main(options: argparse.Namespace) -> int:
    """Trains an experiment, or goes on with it."""
    from fdl.cli.loading import load

    if options.seeds < 1:
        from fdl.errors import UserError

        raise UserError(f"--seeds={options.seeds}: expected at least 1")
    with stoppable() as stopped:
        loaded = load(options.experiment, options.overrides)
        workdir = options.workdir or default_workdir(loaded, options.seeds)
        return run(loaded, pathlib.Path(workdir), options.seeds, stopped)


def run(loaded, workdir: pathlib.Path, seeds: int, stopped: list[int]) -> int:
    """Trains what was loaded in a folder, and says what came out."""
    from rich.console import Console

    from fdl.cli import loading, progress
    from fdl.cli.start import start
    from fdl.errors import RunError
    from fdl.train import checkpoint, folder, report, session

    console = Console(soft_wrap=True)
    stages = {"imports": time.perf_counter() - _BEGAN}
    start()
    with folder.locked(workdir):
        began = time.perf_counter()
        experiments = loading.build(loaded, seeds)
        with loading.user_code(loaded.path):
            setting = session.setting(experiments, loaded.config)
            setting.program.abstract(setting.keys)  # Wrong shapes show here.
        record(loaded, workdir, seeds, setting.batches.fingerprint)
        stages["data and build"] = time.perf_counter() - began
        done = checkpoint.Checkpoints(workdir / "checkpoints").steps()
        at = done[-1] if done else 0
        console.print(greeting(loaded, workdir, at, setting.num_steps), highlight=False)
        try:
            with progress.shown(
                console, setting.batches, at, setting.num_steps
            ) as show:
                reached = session.train(
                    setting,
                    loaded.config,
                    workdir,
                    show=show,
                    warn=lambda text: print(f"fdl: {text}", file=sys.stderr),
                    stop=lambda: bool(stopped),
                    stages=stages,
                )
        except RunError as error:
            good = checkpoint.Checkpoints(workdir / "checkpoints").steps()
            last = f"checkpoint of step {good[-1]}" if good else "no checkpoint yet"
            raise RunError(f"{error}; last good: {last}, in {workdir}") from error
        report.curves(workdir)
    if reached < setting.num_steps:
        console.print(
            f"stopped at step {reached} of {setting.num_steps}, and saved. "
            f"To go on: fdl resume {workdir}",
            highlight=False,
        )
        return 128 + stopped[0]
    closing(console, workdir, reached)
    return 0


def record(loaded, workdir: pathlib.Path, seeds: int, fingerprint: str) -> None:
    """Writes down what is run; refuses a folder that holds something else."""
    from fdl.train import folder

    config = json.loads(loaded.config.to_json_best_effort())
    run = {
        "experiment": loaded.name,
        "arg": loaded.arg,
        "seeds": seeds,
        "data": fingerprint,
        "overrides": list(loaded.overrides),
        "path": str(loaded.path),
        "source": loaded.source,
        "commit": folder.commit(loaded.path),
        "versions": folder.versions(),
    }
    folder.describe(workdir, config, run)
    if folder.read_json(workdir / "run.json")["source"] != loaded.source:
        print(f"fdl: {loaded.path} has changed since this run began", file=sys.stderr)


def default_workdir(loaded, seeds: int) -> str:
    """A folder for each file, config and number of seeds: one command, one folder."""
    content = [loaded.config.to_json_best_effort(), loaded.source, seeds]
    digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    return f"runs/{loaded.name.replace('/', '_')}-{digest[:8]}"


def greeting(loaded, workdir: pathlib.Path, at: int, num_steps: int) -> str:
    """What is about to happen, in one line."""
    if at >= num_steps:
        return f"{loaded.name} has finished in {workdir}: nothing is left to do"
    verb = f"going on at step {at} of" if at else "training"
    return f"{verb} {loaded.name}, {num_steps} steps, in {workdir}"


def closing(console, workdir: pathlib.Path, step: int) -> None:
    """Prints the last evaluation, and where everything lies."""
    from fdl.cli.progress import table
    from fdl.train.report import lines

    values = last_evaluation(lines(workdir / "metrics.jsonl"))
    console.print(table(values, f"evaluation at step {step}"))
    for name, what in (
        ("metrics.jsonl", "every number"),
        ("curves.png", "the curves"),
        ("checkpoints", f"the state; fdl eval {workdir} --checkpoint best"),
        ("config.json", "what was run"),
    ):
        console.print(f"  {workdir / name}  {what}", highlight=False)


def last_evaluation(rows: list[dict]) -> dict:
    """The metrics of the last evaluation of a run."""
    for row in reversed(rows):
        values = {
            key.removeprefix("eval/"): value
            for key, value in row.items()
            if key.startswith("eval/") and value is not None
        }
        if values:
            return values
    return {}


@contextmanager
def stoppable() -> Iterator[list[int]]:
    """Notes Ctrl-C and SIGTERM instead of dying of them; a second one kills.

    Yields:
      A list that holds the signal once it came.
    """
    came: list[int] = []

    def note(number, frame):
        del frame
        if came:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        came.append(number)
        print("\nfdl: stopping after this step; once more to kill", file=sys.stderr)

    before = {n: signal.signal(n, note) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
