"""K-fold cross-validation: all folds of an experiment, trained as one learner."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from fdl.errors import UserError
from fdl.learners.replicate import over_seeds
from fdl.types import Batches, Experiment, Key, Learner, PyTree, State


class FoldStates(NamedTuple):
    """States of folds whose programs differ, so that they cannot be stacked."""

    parts: tuple[State, ...]

    @property
    def step(self) -> jax.Array:
        """Number of steps of each fold, int32 [K]."""
        return jnp.stack([state.step for state in self.parts])


def combine_folds(experiments: Sequence[Experiment]) -> Experiment:
    """Combines the experiments of K folds into one.

    Folds that run the same program on data of the same shape (but for the number of
    examples) are vmapped; others run one after another within each step. Either way,
    each fold computes what it computes alone, all from the same key.

    Args:
      experiments: One experiment for each fold, on its part of the data.

    Returns:
      Experiment whose metrics and evaluations have one value for each fold, [K].

    Raises:
      UserError: Two folds have the same data.
    """
    fingerprints = [experiment.batches.fingerprint for experiment in experiments]
    if len({*fingerprints}) < len(fingerprints):
        raise UserError("two folds have the same data: build them with fdl.data.fold")
    learners = [experiment.learner for experiment in experiments]
    folds = [experiment.batches for experiment in experiments]
    padded = _padded([batches.data for batches in folds])
    # Equal shapes are not enough: a build may put numbers of its own fold, such as the
    # mean of its targets, into the program, and `vmap` would use those of the first.
    same = padded is not None and len({*map(_program, learners, folds, padded)}) == 1
    if padded is not None and same:
        learner, batches = _vmapped(learners[0], len(folds)), _stacked(folds, padded)
    else:
        learner, batches = _one_by_one(learners), _unstacked(folds)

    def evaluate(state: State) -> dict[str, Any]:
        results = [
            experiment.evaluate(part(state, k))
            for k, experiment in enumerate(experiments)
        ]
        return {name: [result[name] for result in results] for name in results[0]}

    return Experiment(learner, batches, evaluate)


def part(state: State, k: int) -> State:
    """State of one fold."""
    if isinstance(state, FoldStates):
        return state.parts[k]
    return jax.tree.map(lambda x: x[k], state)


def _vmapped(learner: Learner, count: int) -> Learner:
    replicated = over_seeds(learner)
    # The key of a run alone, in every fold: they differ in their data only.
    return replicated._replace(
        init=lambda key: replicated.init(jnp.stack([key] * count))
    )


def _stacked(folds: Sequence[Batches], padded: Sequence[PyTree]) -> Batches:
    """Batches of all folds, whose data and items have a leading axis [K]."""

    def stack(parts):
        return jax.tree.map(lambda *x: np.stack(x), *parts)

    return _merged(folds, stack)._replace(
        take=jax.vmap(folds[0].take),
        data=stack(padded),
        batch_axis=folds[0].batch_axis + 1,
    )


def _one_by_one(learners: Sequence[Learner]) -> Learner:
    """Learner that makes a step of each fold in turn, within one program."""

    def init(key: Key) -> FoldStates:
        return FoldStates(tuple(learner.init(key) for learner in learners))

    def step(state, batch):
        results = [
            learner.step(fold_state, fold_batch)
            for learner, fold_state, fold_batch in zip(
                learners, state.parts, batch, strict=True
            )
        ]
        states, metrics = zip(*results, strict=True)
        return FoldStates(states), jax.tree.map(lambda *x: jnp.stack(x), *metrics)

    partitions = tuple(learner.partition for learner in learners)
    return Learner(init, step, FoldStates(partitions))


def _unstacked(folds: Sequence[Batches]) -> Batches:
    """Batches of all folds, whose data and items are tuples."""

    def take(data, item):
        return tuple(
            batches.take(*pair)
            for batches, *pair in zip(folds, data, item, strict=True)
        )

    data = tuple(batches.data for batches in folds)
    return _merged(folds, tuple)._replace(take=take, data=data)


def _merged(folds: Sequence[Batches], join: Callable) -> Batches:
    """Batches of the first fold, with the items and fingerprints of all."""

    def stream(start: int) -> Iterator[PyTree]:
        for items in zip(*(batches.stream(start) for batches in folds), strict=True):
            yield join(items)

    # Folds may differ by an example, and so their epochs by a step.
    epochs = [batches.steps_per_epoch or 0 for batches in folds]
    fingerprints = "".join(batches.fingerprint for batches in folds)
    return folds[0]._replace(
        stream=stream,
        steps_per_epoch=max(epochs) or None,
        fingerprint=hashlib.sha256(fingerprints.encode()).hexdigest(),
    )


def _padded(data: Sequence[PyTree]) -> list[PyTree] | None:
    """Data of all folds, padded to one number of examples; None if shapes differ."""
    shapes = [
        [(path, x.shape[1:], x.dtype) for path, x in jax.tree.leaves_with_path(fold)]
        for fold in data
    ]
    if any(shape != shapes[0] for shape in shapes):
        return None

    def pad(array, *arrays):
        # Copies of the first example; no item of this fold points to them.
        missing = max(map(len, arrays)) - len(array)
        return np.concatenate([array, np.repeat(array[:1], missing, axis=0)])

    return [jax.tree.map(pad, fold, *data) for fold in data]


def _program(learner: Learner, batches: Batches, data: PyTree) -> str:
    """Digest of the computation of a learner, equal only if the computation is."""
    item = next(batches.stream(0))

    # Data and items are arguments: of these, only shapes and dtypes enter the jaxpr.
    def init_and_step(key, data, item):
        state = learner.init(key)
        return state, learner.step(state, batches.take(data, item))

    traced = jax.make_jaxpr(init_and_step)(jax.random.key(0), data, item)
    # The text of a jaxpr numbers its variables in order and lists every operation with
    # its parameters, so equal programs have equal texts; arrays may be left out.
    text = f"{traced} {batches.batch_axis} {batches.unit}"
    digest = hashlib.sha256(text.encode())
    for constant in _constants(traced):
        digest.update(f"{np.asarray(constant).dtype}".encode())
        digest.update(np.asarray(constant).tobytes())
    return digest.hexdigest()


def _constants(traced: Any) -> Iterator[Any]:
    """Constants and literals of a jaxpr and of all jaxprs in it."""
    if isinstance(traced, core.ClosedJaxpr | core.Jaxpr):
        yield from getattr(
            traced, "consts", ()
        )  # From jax 0.12 on, the two are one class.
        for equation in traced.eqns:
            for value in equation.invars:
                if isinstance(value, core.Literal):
                    yield value.val
            yield from _constants(tuple(equation.params.values()))
    elif isinstance(traced, tuple | list):
        for part in traced:
            yield from _constants(part)
    elif isinstance(traced, np.ndarray | jax.Array):
        yield traced
