"""`fdl train`: an experiment, from its file to its run folder."""

import argparse
import contextlib
import hashlib
import json
import os
import pathlib
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from fdl.cli.output import silence, terminal, warn
from fdl.cli.recorded import record

_BEGAN = time.perf_counter()


def main(options: argparse.Namespace) -> int:
    """Trains an experiment, or goes on with it."""
    from fdl.errors import UserError

    if options.seeds < 1:
        raise UserError(f"--seeds={options.seeds}: expected at least 1")
    with stoppable() as stopped:  # An import that is interrupted fails in its own way.
        from fdl.cli.loading import load, with_folds

        loaded = load(options.experiment, options.overrides)
        if options.folds is not None:
            loaded = with_folds(loaded, options.folds)
        workdir = options.workdir or default_workdir(loaded, options.seeds)
        return run(loaded, pathlib.Path(workdir), options.seeds, stopped)


def run(loaded, workdir: pathlib.Path, seeds: int, stopped: list[int]) -> int:
    """Trains what was loaded in a folder, and says what came out."""
    from fdl.cli import loading, pictures
    from fdl.cli.ending import ended_early
    from fdl.cli.replay import kept
    from fdl.cli.start import start
    from fdl.train import folder, session

    console = terminal()
    stages = {"imports": time.perf_counter() - _BEGAN}
    start(keep_memory=loaded.config.keep_memory)
    began = time.perf_counter()
    experiments = loading.build(loaded, seeds)
    with loading.user_code(loaded.path):
        setting = session.setting(experiments, loaded.config)
        setting.program.abstract(setting.keys)  # Wrong shapes show here.
    claims = experiments[0].claims
    stages["data and build"] = time.perf_counter() - began
    with folder.locked(workdir):
        record(loaded, workdir, seeds, setting.batches.fingerprint)
        with failing(workdir, loaded.path), kept(console, setting, workdir, stopped):
            reached = watched(
                console, loaded, setting, workdir, stopped, stages, claims
            )
        drawings = pictures.of_metrics(workdir)
        if not stopped:
            drawings += pictures.of_answers(workdir, loaded, experiments, setting)
        pictures.draw(drawings, warn)
    if not session.finished(setting, workdir, reached):
        saved = "and saved" if reached else "before there was anything to save"
        print(
            f"fdl: stopped at step {reached} of {setting.num_steps}, {saved}. "
            f"To go on: fdl resume {shlex.quote(str(workdir))}",
            file=sys.stderr,
        )
        return 128 + stopped[0]
    if reached < setting.num_steps:
        text = ended_early(setting.rule, workdir, reached, setting.num_steps)
        console.print(text)
    closing(console, workdir, reached, loading.num_folds(loaded.config), claims)
    return 0


def watched(
    console, loaded, setting, workdir: pathlib.Path, stopped, stages, claims=()
) -> int:
    """Trains while the user looks on; returns the step that was reached."""
    from fdl.cli import loading, progress
    from fdl.train import session, verdicts

    begun = session.begin(setting, loaded.config, workdir, warn)
    total = setting.num_steps
    if session.finished(setting, workdir, begun.step):
        total = begun.step  # It may have ended early.
    if claims and begun.step < total:  # What they ask for shows here.
        with loading.user_code(loaded.path):
            verdicts.check(claims, setting.evaluate(begun.carry.state))
    console.print(greeting(loaded, workdir, begun.step, total))
    with progress.shown(console, setting.batches, begun.step, total) as show:

        def show_or_stop(*line) -> None:
            try:
                show(*line)
            except OSError:  # Whoever reads the output has gone.
                stopped.append(signal.SIGPIPE)
                silence()

        return session.train(
            setting,
            begun,
            workdir,
            show=show_or_stop,
            stop=lambda: bool(stopped),
            stages=stages,
        )


@contextmanager
def failing(workdir: pathlib.Path, path: pathlib.Path) -> Iterator[None]:
    """Says of a run that fails, however it does, where, and what is left of it."""
    from fdl.cli.loading import line_of
    from fdl.errors import RunError, UserError
    from fdl.train.checkpoint import Checkpoints
    from fdl.train.digests import reason

    try:
        yield
    except (UserError, BrokenPipeError):
        raise
    except Exception as error:
        good = Checkpoints(workdir / "checkpoints").steps()
        last = f"checkpoint of step {good[-1]}" if good else "no checkpoint yet"
        what = str(error)
        if not isinstance(error, RunError):
            kind = type(error).__name__
            what = f"{line_of(error, path)}{kind}: {reason(error)}"
        raise RunError(f"{what}; last good: {last}, in {workdir}") from error


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


def closing(
    console, workdir: pathlib.Path, step: int, num_folds: int = 0, claims=()
) -> None:
    """Prints the last evaluation, what it says of claims, and where everything lies."""
    from fdl.cli.progress import show_metrics
    from fdl.train import verdicts
    from fdl.train.report import lines

    rows = lines(workdir / "metrics.jsonl")
    values = last_evaluation(rows)
    stages = [
        row["stages"] for row in lines(workdir / "timings.jsonl") if "stages" in row
    ]
    for last in stages[-1:]:
        parts = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in last.items())
        console.print(f"before the first step: {parts}")
    console.print(f"evaluation at step {step}")
    show_metrics(console, values, "fold" if num_folds else "")
    if claims:
        found = verdicts.verdicts(claims, verdicts.evaluated(rows))
        verdicts.write(workdir, found)
        for verdict in found:
            console.print(str(verdict))
    again = f"fdl eval {shlex.quote(str(workdir))} --checkpoint best"
    for name, what in (
        ("metrics.jsonl", "every number"),
        ("curves.png", "the curves"),
        ("pictures", "what the model answers, drawn; fdl pictures draws it anew"),
        ("checkpoints", f"the state; {again}"),
        ("config.json", "what was run"),
    ):
        if (workdir / name).exists():
            console.print(f"  {workdir / name}  {what}")


def last_evaluation(rows: list[dict]) -> dict:
    """The metrics of the last evaluation of a run; NaN where a seed has no number."""
    import numpy as np

    for row in reversed(rows):
        values = {
            key.removeprefix("eval/"): np.array(value, np.float64).tolist()
            for key, value in row.items()
            if key.startswith("eval/") and value is not None
        }
        if values:
            return values
    return {}


@contextmanager
def stoppable() -> Iterator[list[int]]:
    """Notes Ctrl-C, SIGTERM and a lost terminal instead of dying; a second one kills.

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
        with contextlib.suppress(OSError):  # A print could interrupt itself.
            os.write(2, b"\nfdl: stopping after this step; once more to kill\n")

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    # What is ignored, say by nohup, stays ignored.
    before = {n: signal.getsignal(n) for n in numbers}
    before = {n: f for n, f in before.items() if f is not signal.SIG_IGN}
    try:
        for number in before:
            signal.signal(number, note)
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
