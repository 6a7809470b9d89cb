"""`fdl train`: train an experiment in its run directory."""

import argparse
import contextlib
import hashlib
import json
import pathlib
import shlex
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from rich.console import Console

from fdl.cli import STARTED, progress
from fdl.cli.arguments import add_experiment
from fdl.cli.console import console, silence, warn
from fdl.config import in_range
from fdl.errors import NonFiniteError, RunError, UserError, describe, reason
from fdl.runs import failure, session
from fdl.runs.checkpoint import Checkpoints
from fdl.runs.claims import check_claims, evaluate_claims, write_claims
from fdl.runs.directory import locked
from fdl.runs.early_stopping import early_stop_message
from fdl.runs.experiment import LoadedExperiment, build, load, num_folds, with_folds
from fdl.runs.experiment_files import line_of, user_code
from fdl.runs.log import read_lines
from fdl.runs.model_files import write_description
from fdl.runs.open_run import Run
from fdl.runs.process import prepare
from fdl.runs.record import record
from fdl.runs.run_setup import RunSetup, setup
from fdl.runs.trained_model import MODEL_FOLDER
from fdl.runs.trusted_files import record_started
from fdl.types import NOTHING, Claim

MAX_SEEDS = 1000  # Each of them is built by itself.


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    add_experiment(parser)
    parser.add_argument(
        "--workdir",
        help="run directory (default: runs/NAME-DIGEST, one for each config)",
    )
    parser.add_argument(
        "--seeds", type=int, default=1, metavar="N", help="train N seeds at once"
    )
    parser.add_argument(
        "--folds", type=int, metavar="K", help="cross-validate: train K folds at once"
    )


def main(options: argparse.Namespace) -> int:
    """Trains an experiment, or goes on with it."""
    in_range("--seeds", options.seeds, 1, MAX_SEEDS)
    loaded = load(options.experiment, options.overrides)
    if options.folds is not None:
        loaded = with_folds(loaded, options.folds)
    workdir = options.workdir or default_workdir(loaded, options.seeds)
    return run(loaded, pathlib.Path(workdir), options.seeds, options.stopped)


def run(
    loaded: LoadedExperiment,
    workdir: pathlib.Path,
    num_seeds: int,
    stopped: list[int],
) -> int:
    """Trains an experiment in a directory, and prints its results.

    Args:
      loaded: File and config of the experiment.
      workdir: Directory of the run.
      num_seeds: Number of seeds to train at once.
      stopped: List that a signal is appended to when the run is to stop.

    Returns:
      Exit code.
    """
    out = console()
    stages = {"imports": time.perf_counter() - STARTED}
    prepare(keep_memory=loaded.config.keep_memory)
    began = time.perf_counter()
    experiments = build(loaded, num_seeds)
    with user_code(loaded.path):
        run_setup = setup(experiments, loaded.config)
        # Traced here, so that a wrong shape is reported with its line of the file.
        run_setup.program.abstract(run_setup.keys)
    claims = experiments[0].claims
    stages["data and build"] = time.perf_counter() - began
    this_run = Run(workdir, loaded, num_seeds, experiments, run_setup)
    with locked(workdir):
        fingerprint, weights = run_setup.batches.fingerprint, experiments[0].weights
        record(loaded, workdir, num_seeds, fingerprint, warn, weights)
        record_started(loaded.path, workdir, warn)
        write_description(workdir / MODEL_FOLDER, loaded.name, experiments[0])
        with (
            failing(workdir, loaded.path),
            snapshot_on_failure(out, run_setup, workdir, stopped),
        ):
            result = train(out, loaded, run_setup, workdir, stopped, stages, claims)
        draw_plots(this_run, result, with_predictions=not stopped)
    step, num_steps = result.step, run_setup.num_steps
    if not session.finished(run_setup, workdir, step):
        saved = "and saved" if step else "before there was anything to save"
        warn(
            f"stopped at step {step} of {num_steps}, {saved}. "
            f"To go on: fdl resume {shlex.quote(str(workdir))}"
        )
        return 128 + stopped[0]
    if step < num_steps and run_setup.rule is not None:
        out.print(early_stop_message(run_setup.rule, workdir, step, num_steps))
    folds, signatures = num_folds(loaded.config), experiments[0].signatures
    print_results(out, workdir, result, folds, claims, signatures)
    return 0


def train(
    out: Console,
    loaded: LoadedExperiment,
    run_setup: RunSetup,
    workdir: pathlib.Path,
    stopped: list[int],
    stages: Mapping[str, float],
    claims: Sequence[Claim] = (),
) -> session.Result:
    """Trains with a progress display."""
    start = session.start(run_setup, loaded.config, workdir, warn)
    total = run_setup.num_steps
    if session.finished(run_setup, workdir, start.step):
        total = start.step  # It may have ended early.
    if claims and not start.step:
        # A claim on a metric that is not evaluated fails here, not after hours.
        with user_code(loaded.path):
            variables = run_setup.learner.variables(start.loop_state.state)
            measure = run_setup.test or run_setup.evaluate
            check_claims(claims, measure(variables))
    out.print(greeting(loaded, workdir, start.step, total))
    left_out = session.left_out(run_setup, start.step)
    if left_out:
        out.print(left_out)
    with progress.shown(out, run_setup.batches, start.step, total) as shows:

        def or_stop(show: Callable[..., None]) -> Callable[..., None]:
            def show_or_stop(*line) -> None:
                try:
                    show(*line)
                except OSError:  # The reader of the output has gone.
                    stopped.append(signal.SIGPIPE)
                    silence()

            return show_or_stop

        show, show_samples = (or_stop(x) for x in shows)

        return session.train(
            run_setup,
            start,
            workdir,
            show=show,
            stop=lambda: bool(stopped),
            stages=stages,
            show_samples=show_samples,
        )


@contextlib.contextmanager
def failing(workdir: pathlib.Path, path: pathlib.Path) -> Iterator[None]:
    """Turns any exception of a run into a `RunError` with the last good checkpoint."""
    try:
        yield
    except UserError:
        raise
    except BaseException as error:  # Signals are recorded: it is no Ctrl-C.
        steps = Checkpoints(workdir / "checkpoints").steps()
        last = f"checkpoint of step {steps[-1]}" if steps else "no checkpoint yet"
        known = isinstance(error, RunError)
        text = error if known else f"{line_of(error, path)}{describe(error)}"
        raise RunError(f"{text}; last good: {last}, in {workdir}") from error


@contextlib.contextmanager
def snapshot_on_failure(
    out: Console, run_setup: RunSetup, workdir: pathlib.Path, stopped: list[int]
) -> Iterator[None]:
    """Saves a failure snapshot of a run that becomes NaN or infinite."""
    try:
        yield
    except NonFiniteError as error:
        # The frames hold the arrays of the failed step in memory.
        traceback.clear_frames(error.__traceback__)
        command = f"fdl replay {shlex.quote(str(workdir))}"
        out.print(
            f"step {error.step} went wrong: going back, to save a failure snapshot"
        )
        try:
            failure.save_snapshot(run_setup, workdir, error, lambda: bool(stopped))
            hint = f"{command} names the operation"
        except BaseException as problem:  # No other error may hide the first one.
            hint = (
                f"no failure snapshot, {reason(problem)}: {command} --step {error.step}"
            )
        raise RunError(f"{error}: {hint}") from error


def draw_plots(run: Run, result: session.Result, *, with_predictions: bool) -> None:
    """Draws the plots of a run, as far as its data allows."""
    # Imported when training is over: matplotlib would delay the first step.
    from fdl.runs.plots_of_run import draw, metric_plots_of, prediction_plots_of

    plots = metric_plots_of(run.workdir)
    if with_predictions:
        plots += prediction_plots_of(
            run.workdir,
            run.experiments[0],
            run.variables_of(result.loop_state, 0),
            run.title(result.step, 0),
        )
    draw(plots, warn)


def default_workdir(loaded: LoadedExperiment, num_seeds: int) -> str:
    """Run directory of a file, config and number of seeds: one for each command."""
    # Another config or another version of the file is another run.
    content = [loaded.config.to_json_best_effort(), loaded.source, num_seeds]
    digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    return f"runs/{loaded.name.replace('/', '_')}-{digest[:8]}"


def greeting(
    loaded: LoadedExperiment, workdir: pathlib.Path, step: int, num_steps: int
) -> str:
    """First line of a run: its experiment, steps and directory."""
    if step >= num_steps:
        return f"{loaded.name} has finished in {workdir}: nothing is left to do"
    verb = f"going on at step {step} of" if step else "training"
    return f"{verb} {loaded.name}, {num_steps} steps, in {workdir}"


def print_results(
    out: Console,
    workdir: pathlib.Path,
    result: session.Result,
    num_folds: int = 0,
    claims: Sequence[Claim] = (),
    signatures: Mapping[str, str] = NOTHING,
) -> None:
    """Prints validation and test, the verdicts on claims, and the files of the run."""
    timings = read_lines(workdir / "timings.jsonl")
    stages = [row["stages"] for row in timings if "stages" in row]
    for last in stages[-1:]:
        parts = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in last.items())
        out.print(f"before the first step: {parts}")
    for title, metrics in (("validation", result.validation), ("test", result.test)):
        if metrics:
            out.print(f"{title} at step {result.step}")
            values = {
                name: np.array(value, np.float64).tolist()
                for name, value in metrics.items()
                if value is not None
            }
            what = "fold" if num_folds else ""
            progress.show_metrics(out, values, what, signatures)
    if claims:
        verdicts = evaluate_claims(claims, result.metrics)
        write_claims(workdir, verdicts)
        for verdict in verdicts:
            out.print(str(verdict))
    again = f"fdl eval {shlex.quote(str(workdir))} --checkpoint best"
    for name, description in (
        ("metrics.jsonl", "every number"),
        ("curves.png", "the curves"),
        ("plots", "plots of the model; fdl plot draws them anew"),
        ("samples", "what the model makes, at each evaluation"),
        ("checkpoints", f"the state; {again}"),
        ("config.json", "what was run"),
    ):
        if (workdir / name).exists():
            out.print(f"  {workdir / name}  {description}")
