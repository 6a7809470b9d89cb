"""Experiments on different data, trained as one: the folds of a cross-validation."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from fdl.errors import UserError
from fdl.learner import over_seeds
from fdl.types import Batches, Experiment, Key, Learner, PyTree, State


class SideBySide(NamedTuple):
    """States of learners whose programs differ."""

    parts: tuple[State, ...]

    @property
    def step(self) -> jax.Array:
        """Of each, int32 [K]."""
        return jnp.stack([state.step for state in self.parts])


def together(experiments: Sequence[Experiment]) -> Experiment:
    """Makes one experiment of several, which begin with the same key.

    Where all do the same with data of the same shape (but for the number of examples),
    they are vmapped; or else they run one after another within each step. Either way
    the numbers are those of each alone.

    Args:
      experiments: Of the same kind, on different data.

    Returns:
      An experiment whose metrics and evaluations have one number of each, [K].

    Raises:
      UserError: They are on the same data.
    """
    prints = [experiment.batches.fingerprint for experiment in experiments]
    if len({*prints}) < len(prints):
        raise UserError("two folds have the same data: build them with fdl.data.fold")
    learners = [experiment.learner for experiment in experiments]
    runs = [experiment.batches for experiment in experiments]
    filled = _filled([run.data for run in runs])
    same = filled is not None and len({*map(_program, learners, runs, filled)}) == 1
    if filled is not None and same:
        learner, batches = _vmapped(learners[0], len(runs)), _stacked(runs, filled)
    else:
        learner, batches = _one_by_one(learners), _apart(runs)

    def evaluate(state: State) -> dict[str, Any]:
        results = [
            experiment.evaluate(part(state, k))
            for k, experiment in enumerate(experiments)
        ]
        return {name: [result[name] for result in results] for name in results[0]}

    return Experiment(learner, batches, evaluate)


def part(state: State, k: int) -> State:
    """The state of one of them."""
    if isinstance(state, SideBySide):
        return state.parts[k]
    return jax.tree.map(lambda x: x[k], state)


def _vmapped(learner: Learner, count: int) -> Learner:
    whole = over_seeds(learner)
    return whole._replace(init=lambda key: whole.init(jnp.stack([key] * count)))


def _stacked(runs: Sequence[Batches], filled: Sequence[PyTree]) -> Batches:
    """Batches whose data and items have a new leading axis [K]."""

    def stack(parts):
        return jax.tree.map(lambda *x: np.stack(x), *parts)

    return _merged(runs, stack)._replace(
        take=jax.vmap(runs[0].take),
        data=stack(filled),
        batch_axis=runs[0].batch_axis + 1,
    )


def _one_by_one(learners: Sequence[Learner]) -> Learner:
    def init(key: Key) -> SideBySide:
        return SideBySide(tuple(learner.init(key) for learner in learners))

    def step(state, batch):
        results = [
            learner.step(mine, one)
            for learner, mine, one in zip(learners, state.parts, batch, strict=True)
        ]
        states, metrics = zip(*results, strict=True)
        return SideBySide(states), jax.tree.map(lambda *x: jnp.stack(x), *metrics)

    return Learner(init, step, SideBySide(tuple(one.partition for one in learners)))


def _apart(runs: Sequence[Batches]) -> Batches:
    """Batches that are tuples of the batches of each."""

    def take(data, item):
        return tuple(
            run.take(*both) for run, *both in zip(runs, data, item, strict=True)
        )

    data = tuple(run.data for run in runs)
    return _merged(runs, tuple)._replace(take=take, data=data)


def _merged(runs: Sequence[Batches], join: Callable) -> Batches:
    def stream(start: int) -> Iterator[PyTree]:
        for items in zip(*(run.stream(start) for run in runs), strict=True):
            yield join(items)

    epochs = [run.steps_per_epoch or 0 for run in runs]
    digest = hashlib.sha256("".join(run.fingerprint for run in runs).encode())
    return runs[0]._replace(
        stream=stream,
        steps_per_epoch=max(epochs) or None,
        fingerprint=digest.hexdigest(),
    )


def _filled(data: Sequence[PyTree]) -> list[PyTree] | None:
    """All data in one shape, filled up with first examples; None if that is not all."""
    shapes = [
        [(path, x.shape[1:], x.dtype) for path, x in jax.tree.leaves_with_path(one)]
        for one in data
    ]
    if any(shape != shapes[0] for shape in shapes):
        return None

    def fill(array, *all_of_them):
        missing = max(map(len, all_of_them)) - len(array)
        return np.concatenate([array, np.repeat(array[:1], missing, axis=0)])

    return [jax.tree.map(fill, one, *data) for one in data]


def _program(learner: Learner, batches: Batches, data: PyTree) -> str:
    """All that a learner does with a batch, as text that is equal if that is."""
    item = next(batches.stream(0))

    def whole(key, data, item):
        state = learner.init(key)
        return state, learner.step(state, batches.take(data, item))

    traced = jax.make_jaxpr(whole)(jax.random.key(0), data, item)
    text = f"{traced} {batches.batch_axis} {batches.unit}"
    digest = hashlib.sha256(text.encode())
    for constant in _constants(traced):
        digest.update(f"{np.asarray(constant).dtype}".encode())
        digest.update(np.asarray(constant).tobytes())
    return digest.hexdigest()


def _constants(traced: Any) -> Iterator[Any]:
    """All numbers in a traced function, which its text may leave out."""
    if isinstance(traced, core.ClosedJaxpr | core.Jaxpr):
        yield from getattr(traced, "consts", ())  # From jax 0.12 on both are one.
        for equation in traced.eqns:
            for value in equation.invars:
                if isinstance(value, core.Literal):
                    yield value.val
            yield from _constants(tuple(equation.params.values()))
    elif isinstance(traced, tuple | list):
        for one in traced:
            yield from _constants(one)
    elif isinstance(traced, np.ndarray | jax.Array):
        yield traced
