"""One run in one folder: logged, evaluated, saved, and gone on with where it ended."""

import contextlib
import pathlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from fdl import config as configs
from fdl import data
from fdl.errors import UserError
from fdl.learner import over_seeds
from fdl.train import stopping
from fdl.train.checkpoint import Checkpoints, policy
from fdl.train.layers import Measure, layer_hook, measuring
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
from fdl.train.report import Record, plain
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
      periods: Steps between two logs, evaluations and checkpoints.
      program: The learner and its batches, ready to run.
      layers: Measures each layer, if it is to be measured.
      rule: When it ends early, if it may.
    """

    learner: Learner
    batches: Batches
    evaluate: Callable[[State], Mapping[str, Any]]
    keys: PyTree
    num_steps: int
    periods: Mapping[str, int]
    program: Program
    layers: Measure | None = None
    rule: stopping.Rule | None = None


class Begun(NamedTuple):
    """Where a run begins or goes on.

    Attributes:
      step: What lies behind it.
      carry: The first, or that of the last checkpoint.
      checkpoints: All of the run.
    """

    step: int
    carry: Carry
    checkpoints: Checkpoints


def setting(experiments: Sequence[Experiment], config: ConfigDict) -> Setting:
    """Makes one run of an experiment, or of several that differ in their seed only.

    Args:
      experiments: One per seed, ``config.seed`` and those after it.
      config: Of the first.

    Raises:
      UserError: The config makes no sense, here and not only when it is needed.
    """
    first, seeds = experiments[0], len(experiments)
    if config.steps_per_call < 1:
        raise UserError(
            f"config.steps_per_call={config.steps_per_call}: expected at least 1"
        )
    policy(config.keep, config.best)
    learner, batches, evaluate = first[:3]
    keys = jax.random.key(config.seed)
    if seeds > 1:
        learner = over_seeds(learner)
        batches = data.stack([experiment.batches for experiment in experiments])
        evaluate = _evaluate_each(first.evaluate, seeds)
        keys = jnp.stack([jax.random.key(config.seed + i) for i in range(seeds)])
    mesh = make_mesh(config.mesh.to_dict())
    program = compiled(
        learner, batches, steps_per_call=config.steps_per_call, mesh=mesh
    )
    num_steps = configs.num_steps(config, batches.steps_per_epoch)
    periods = {
        key: configs.every(config[key], batches.steps_per_epoch, key)
        for key in configs.PERIODS
    }
    rule = stopping.rule(config, periods["eval_every"], num_steps)
    measure = None
    if periods["layers_every"]:
        measure = measuring(first.learner, batches, program.data, seeds)
    return Setting(
        learner, batches, evaluate, keys, num_steps, periods, program, measure, rule
    )


def begin(
    setting: Setting,
    config: ConfigDict,
    workdir: pathlib.Path,
    warn: Callable[[str], None],
) -> Begun:
    """Goes to where a run folder has got to: its last checkpoint, or the beginning.

    Args:
      setting: From `setting`.
      config: What checkpoints to keep.
      workdir: The run folder.
      warn: Told of damaged checkpoints.

    Raises:
      RunError: There are checkpoints, and none can be used.
    """
    checkpoints = Checkpoints(
        workdir / "checkpoints", keep=config.keep, best=config.best
    )
    like = setting.program.abstract(setting.keys)
    found = checkpoints.restore_latest(like, warn)
    step, carry = found if found else (0, setting.program.init(setting.keys))
    return Begun(step, carry, checkpoints)


def train(
    setting: Setting,
    begun: Begun,
    workdir: pathlib.Path,
    *,
    show: Show,
    stop: Callable[[], bool],
    stages: Mapping[str, float],
) -> int:
    """Trains in a folder until the end, be it early, or until ``stop()``.

    Args:
      setting: From `setting`.
      begun: From `begin`; its carry is donated.
      workdir: The run folder.
      show: Told of every line: step, "train" or "eval", and the values.
      stop: Asked between two calls.
      stages: Seconds that each stage before this one took, for the record.

    Returns:
      The step that was reached. All up to it is on disk.

    Raises:
      RunError: The run failed; the last good checkpoint is there.
      UserError: It could never end early: there is no such metric.
    """
    if finished(setting, workdir, begun.step):
        return begun.step
    if setting.rule is not None and not begun.step:
        stopping.check(setting.rule, setting.evaluate(begun.carry.state))
    with contextlib.ExitStack() as stack:
        stack.callback(begun.checkpoints.wait)
        record = stack.enter_context(contextlib.closing(Record(workdir, begun.step)))

        def write(step: int, split: str, values: Mapping[str, Any]) -> None:
            place = progress(setting.batches, step)
            record.write(step, {**place, **plain(values, split)})
            show(step, split, values)

        def compiled_in(seconds: float) -> None:
            record.write_stages({**stages, "compile": seconds})

        advance = _timed(setting.program.advance, compiled_in)
        see, over = stopping.watch(setting.rule, _seen(setting, workdir, begun.step))
        hooks, save = _hooks(setting, begun.checkpoints, write, record.sync, see, over)
        if setting.layers is not None:  # Before a checkpoint is saved.
            every = setting.periods["layers_every"]
            hooks.insert(-1, layer_hook(setting.layers, every, record))
            if not begun.step:
                hooks[-2].call(0, begun.carry)
        carry, step = iterate(
            setting.program._replace(advance=advance),
            begun.carry,
            setting.batches,
            begun.step,
            setting.num_steps,
            hooks,
            lambda: over() or stop(),
        )
        if begun.step < step < setting.num_steps:
            save(step, carry)
    return step


def finished(setting: Setting, workdir: pathlib.Path, step: int) -> bool:
    """Whether a run that has come to a step is at its end, be it early."""
    if step >= setting.num_steps:
        return True
    return stopping.end(setting.rule, _seen(setting, workdir, step)) is not None


def _seen(
    setting: Setting, workdir: pathlib.Path, step: int
) -> Iterable[stopping.Evaluation]:
    """What the run folder has of the metric by which it may end early."""
    if setting.rule is None:
        return ()
    return stopping.evaluations(setting.rule, workdir, step)


def _hooks(
    setting: Setting,
    checkpoints: Checkpoints,
    write: Show,
    sync: Callable[[], None],
    see: Callable[[Mapping[str, Any]], None],
    over: Callable[[], bool],
) -> tuple[list[Hook], Callable[[int, Carry], Carry]]:
    """What is done on the way, and the one of them that saves."""
    saved: list[int] = []
    evaluated: dict[int, Mapping[str, Any]] = {}
    log, flush = read_metrics(lambda step, values: write(step, "train", values))

    def evaluate(step: int, carry: Carry) -> Carry:
        flush()
        check_finite(carry.first_bad)
        evaluated.clear()
        evaluated[step] = setting.evaluate(carry.state)
        write(step, "eval", evaluated[step])
        checkpoints.check(evaluated[step])  # At the first one, not when it is saved.
        see(evaluated[step])
        return last(step, carry) if over() else carry

    def last(step: int, carry: Carry) -> Carry:
        """Logs what is left over, as at any end; before what is saved can say so."""
        every = setting.periods["log_every"]
        if step < setting.num_steps and not (every and step % every == 0):
            carry = log(step, carry)
        flush()
        return carry

    def save(step: int, carry: Carry) -> Carry:
        if step not in saved:
            flush()
            sync()
            checkpoints.save(step, carry, evaluated.get(step))
            saved[:] = [step]
        return carry

    periods = setting.periods
    hooks = [
        Hook(periods["log_every"], log),
        Hook(periods["eval_every"], evaluate),
        Hook(periods["save_every"], save),
    ]
    return hooks, save


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
