"""One run in one folder: logged, evaluated, saved, and gone on with where it ended."""

import pathlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from fdl import config as configs
from fdl import data
from fdl.learner import over_seeds
from fdl.train.checkpoint import Checkpoints
from fdl.train.loop import (
    Carry,
    Hook,
    Program,
    check_finite,
    compiled,
    iterate,
    read_metrics,
)
from fdl.train.mesh import make_mesh
from fdl.train.report import Events, Lines, plain
from fdl.types import Batches, Experiment, Learner, PyTree, State

Show = Callable[[int, str, Mapping[str, Any]], None]


class Setting(NamedTuple):
    """What a run is made of, for one seed or several.

    Attributes:
      learner: What learns; all seeds at once.
      batches: What from.
      evaluate: ``evaluate(state)``, to floats or lists over seeds.
      keys: Of the learner: one key, or one per seed [S].
      num_steps: How long.
      program: The learner and its batches, ready to run.
    """

    learner: Learner
    batches: Batches
    evaluate: Callable[[State], Mapping[str, Any]]
    keys: PyTree
    num_steps: int
    program: Program


def setting(experiments: Sequence[Experiment], config: ConfigDict) -> Setting:
    """Makes one run of an experiment, or of several that differ in their seed only.

    Args:
      experiments: One per seed, ``config.seed`` and those after it.
      config: Of the first.
    """
    first, seeds = experiments[0], len(experiments)
    learner, batches, evaluate = first
    keys = jax.random.key(config.seed)
    if seeds > 1:
        learner = over_seeds(learner)
        batches = data.stack([experiment.batches for experiment in experiments])
        evaluate = _evaluate_each(first.evaluate, seeds)
        keys = jax.vmap(jax.random.key)(config.seed + jnp.arange(seeds))
    mesh = make_mesh(config.mesh.to_dict())
    program = compiled(
        learner, batches, steps_per_call=config.steps_per_call, mesh=mesh
    )
    num_steps = configs.num_steps(config, batches.steps_per_epoch)
    return Setting(learner, batches, evaluate, keys, num_steps, program)


def train(
    setting: Setting,
    config: ConfigDict,
    workdir: pathlib.Path,
    *,
    show: Show,
    warn: Callable[[str], None],
    stop: Callable[[], bool],
    stages: Mapping[str, float],
) -> int:
    """Trains in a folder until the end, or until ``stop()``; goes on where it ended.

    Args:
      setting: From `setting`.
      config: The periods, and what checkpoints to keep.
      workdir: The run folder.
      show: Told of every line: step, "train" or "eval", and the values.
      warn: Told of damaged checkpoints.
      stop: Asked between two calls.
      stages: Seconds that each stage before this one took, for the record.

    Returns:
      The step that was reached. All up to it is on disk.

    Raises:
      RunError: The run failed; the last good checkpoint is there.
    """
    batches = setting.batches
    checkpoints = Checkpoints(
        workdir / "checkpoints", keep=config.keep, best=config.best
    )
    like = setting.program.abstract(setting.keys)
    found = checkpoints.restore_latest(like, warn)
    start, carry = found if found else (0, setting.program.init(setting.keys))
    metrics = Lines(workdir / "metrics.jsonl", start)
    timings = Lines(workdir / "timings.jsonl", start)
    events = Events(workdir / "tensorboard", start)
    began = time.perf_counter()

    def compiled_in(seconds: float) -> None:
        timings.write({"stages": {**stages, "compile": seconds}})

    advance = _timed(setting.program.advance, compiled_in)
    program = setting.program._replace(advance=advance)

    def write(step: int, split: str, values: Mapping[str, Any]) -> None:
        line = {"step": step, **progress(batches, step), **plain(values, split)}
        metrics.write(line)
        timings.write({"step": step, "seconds": time.perf_counter() - began})
        events.write(step, plain(values, split))
        show(step, split, values)

    evaluated: dict[int, Mapping[str, Any]] = {}
    log, flush = read_metrics(lambda step, values: write(step, "train", values))

    def evaluate(step: int, carry: Carry) -> Carry:
        flush()
        check_finite(carry.first_bad)
        evaluated.clear()
        evaluated[step] = setting.evaluate(carry.state)
        write(step, "eval", evaluated[step])
        return carry

    def save(step: int, carry: Carry) -> Carry:
        flush()
        metrics.sync()
        checkpoints.save(step, carry, evaluated.get(step))
        return carry

    periods = {
        key: configs.every(config[key], batches.steps_per_epoch, key)
        for key in configs.PERIODS
    }
    hooks = [
        Hook(periods["log_every"], log),
        Hook(periods["eval_every"], evaluate),
        Hook(periods["save_every"], save),
    ]
    try:
        carry, step = iterate(
            program, carry, batches, start, setting.num_steps, hooks, stop
        )
        if step < setting.num_steps and step > start:
            save(step, carry)
    finally:
        checkpoints.wait()
        events.close()
    return step


def progress(batches: Batches, step: int) -> dict[str, float]:
    """How far a step is, in epochs, or in what the learner consumes."""
    if batches.steps_per_epoch:
        return {"epoch": step / batches.steps_per_epoch}
    return {batches.unit: step * batches.per_step} if batches.per_step else {}


def _evaluate_each(evaluate: Callable, seeds: int) -> Callable:
    """Evaluates seed by seed, so that each is measured just as if it were alone."""

    def evaluate_each(state: State) -> dict[str, list[float]]:
        alone = [jax.tree.map(lambda x, i=i: x[i], state) for i in range(seeds)]
        results = [evaluate(one) for one in alone]
        return {name: [result[name] for result in results] for name in results[0]}

    return evaluate_each


def _timed(advance: Callable, done: Callable[[float], None]) -> Callable:
    """Times the first call, which is the one that compiles."""
    calls = iter([True])

    def timed(*arguments):
        if not next(calls, False):
            return advance(*arguments)
        began = time.perf_counter()
        result = advance(*arguments)
        done(time.perf_counter() - began)
        return result

    return timed
