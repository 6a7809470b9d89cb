"""Several learners trained as one: seeds, folds, the arms of a comparison."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec

from fdl.data.transforms import zip_batches
from fdl.errors import UserError
from fdl.learners.programs import program_digest
from fdl.learners.replicas import (
    Members,
    Replicas,
    by_name,
    join_metrics,
    like,
    select,
)
from fdl.learners.step_outputs import checked
from fdl.trees import side_by_side
from fdl.types import Batch, Batches, Key, Learner, Metrics, PyTree, Variables


def replicate(
    learners: Members[Learner], batches: Batches | Members[Batches]
) -> tuple[Learner, Batches]:
    """Several learners as one that trains all of them, each as it would train alone.

    Those whose step is the same program on the same shapes are vmapped, with a stacked
    state; the others run side by side in the same step. What a learner closes over
    belongs to its program; what lies in its state does not, such as initial values and
    the numbers of `inject_hyperparameters`.

    Args:
      learners: Learners by name, such as the arms of a comparison: metrics are called
        ``name/metric``. Or a sequence, such as seeds or folds: metrics have a leading
        axis [R], in this order, and the learners are called "0", "1", ….
      batches: Batches that all learners see, each of which takes from a batch what it
        needs; or batches of each learner, named or ordered as the learners are.

    Returns:
      A learner on `Replicas`, and its batches. Its ``init`` takes one key for all, or
      keys [R]; its variables are those of all, `side_by_side`.

    Raises:
      UserError: There are no learners, a name is empty or has a slash, or the batches
        do not go with the learners or with each other.

    Example:
      >>> import fdl
      >>> coin = fdl.monte_carlo(lambda key: {"x": jnp.ones(())})
      >>> learners = {"left": coin, "right": coin}
      >>> learner, batches = replicate(learners, fdl.data.no_data())
      >>> state, metrics = learner.step(learner.init(jax.random.key(0)), None)
      >>> list(metrics), state.names
      (['left/x', 'right/x'], (('left', 'right'),))
    """
    named = by_name("learners", learners)
    shared = isinstance(batches, Batches)
    joined = batches if isinstance(batches, Batches) else _zipped(batches, named)
    example = jax.eval_shape(joined.take, joined.data, next(joined.stream(0)))
    examples = [example] * len(named) if shared else [*example]
    members = _jitted([*named.values()])
    groups = _grouped(members, examples)
    parts = [_vmapped([members[i] for i in group], shared) for group in groups]
    labels = [*named]
    names = tuple(tuple(labels[i] for i in group) for group in groups)

    def by_group(function: Callable[..., Any], *trees: Any) -> Any:
        results = [function(*one) for one in _zip(parts, groups, *trees)]
        return Replicas(tuple(results), names)

    def init(key: Key) -> Replicas:
        keys = _keys(key, len(members))
        return by_group(lambda part, group: part.init(keys[group]))

    def step(state: Replicas, batch: Any) -> tuple[Replicas, Metrics]:
        found: dict[int, Metrics] = {}

        def step_group(part, group, old):
            seen = batch if shared else _stack([batch[i] for i in group])
            new, metrics = part.step(old, seen)
            found.update(_zip(group, metrics))
            return new

        state = by_group(step_group, state.groups)
        ordered = {label: found[i] for i, label in enumerate(labels)}
        return state, join_metrics(like(learners, ordered), _stack_all)

    def variables(state: Replicas) -> Variables:
        # Not vmapped: they may be computed on the host for a part.
        return side_by_side(
            {name: one.variables(select(state, name)) for name, one in named.items()}
        )

    def persist(state: Replicas) -> Replicas:
        return by_group(lambda part, _, old: part.persist(old), state.groups)

    def revive(state: Replicas, key: Key) -> Replicas:
        keys = _keys(key, len(members))
        return by_group(
            lambda part, group, saved: part.revive(saved, keys[group]), state.groups
        )

    partition = by_group(lambda part, _: part.partition)
    learner = Learner(init, step, variables, partition)
    if any(one.persist for one in members):
        learner = learner._replace(persist=persist, revive=revive)
    return learner, joined


def _vmapped(learners: Sequence[Learner], shared: bool) -> Learner:
    """Learner of R learners with one program: arguments and state are stacked [R, ...].

    Its ``init`` and ``revive`` take keys [R], and a step returns the metrics of each in
    a list. A single learner stays as it is.

    Args:
      learners: Learners whose step is the same program.
      shared: True if all of them see the same batch.
    """
    first, count = learners[0], len(learners)

    def vmap(function, *axes):
        if count == 1:
            return function
        return jax.vmap(function, axes, axis_size=count)

    def init(keys):
        if all(learner.init is first.init for learner in learners):
            return vmap(first.init, 0)(_stack([*keys]))
        # Initial states may be computed by different programs.
        return _stack([one.init(key) for one, key in _zip(learners, keys)])

    def step(state, batch):
        state, metrics = vmap(first.step, 0, None if shared else 0)(state, batch)
        if count == 1:
            return state, [metrics]
        rows = [jax.tree.map(lambda x, i=i: x[i], metrics) for i in range(count)]
        return state, rows

    def revive(part, keys):
        if first.revive is None:
            return part
        return vmap(first.revive, 0, 0)(part, _stack([*keys]))

    # The axis of the learners is not sharded; those behind it are, as for one.
    partition = (
        first.partition
        if count == 1
        else jax.tree.map(
            lambda spec: PartitionSpec(None, *spec),
            first.partition,
            is_leaf=lambda x: isinstance(x, PartitionSpec),
        )
    )
    return Learner(
        init,
        step,
        partition=partition,
        persist=vmap(first.persist or (lambda state: state), 0),
        revive=revive,
    )


def _jitted(learners: Sequence[Learner]) -> list[Learner]:
    """Learners with jitted functions; those of equal functions are the same objects.

    They are traced to compare their programs, and the same traces are compiled.
    """
    jit_init = functools.cache(jax.jit)
    jit_step = functools.cache(lambda step: jax.jit(checked(step)))
    return [
        one._replace(init=jit_init(one.init), step=jit_step(one.step))
        for one in learners
    ]


def _grouped(learners: Sequence[Learner], batches: Sequence[Batch]) -> list[np.ndarray]:
    """Indices of the learners, grouped by the program and the shapes of their steps.

    Args:
      learners: Learners with jitted functions.
      batches: Shapes of the batch that each of them sees.
    """
    key = jax.random.key(0)
    states = [jax.eval_shape(one.init, key) for one in learners]
    shapes = [
        (_hashable(state), _hashable(batch), _hashable(one.partition))
        for one, state, batch in _zip(learners, states, batches)
    ]

    def programs(i):
        one, state = learners[i], states[i]
        yield one.step.trace(state, batches[i]).jaxpr
        if one.persist:
            yield jax.make_jaxpr(one.persist)(state)
        if one.revive:
            yield jax.make_jaxpr(one.revive)(jax.eval_shape(one.persist, state), key)

    groups: dict[Any, list[int]] = {}
    for i, of_one in enumerate(shapes):
        # Only what may be equal is traced, and no learner is compared with itself.
        alike = {
            (one.step, one.persist, one.revive)
            for one, other in _zip(learners, shapes)
            if other == of_one
        }
        digests = [program_digest(x) for x in programs(i)] if len(alike) > 1 else []
        groups.setdefault((of_one, *digests), []).append(i)
    return [np.array(group) for group in groups.values()]


def _hashable(tree: PyTree) -> Any:
    """Structure of a tree, and the shapes and dtypes of its leaves."""
    leaves, structure = jax.tree.flatten(tree, lambda x: isinstance(x, PartitionSpec))
    kinds = [x if isinstance(x, PartitionSpec) else (x.shape, x.dtype) for x in leaves]
    return structure, tuple(kinds)


def _zipped(batches: Members[Batches], learners: Mapping[str, Learner]) -> Batches:
    """Batches of each learner as one, in the order of the learners."""
    if isinstance(batches, Mapping):
        if {*batches} != {*learners}:
            raise UserError(
                f"batches of {', '.join(batches)}: expected those of the learners, "
                f"{', '.join(learners)}"
            )
        batches = [batches[name] for name in learners]
    if len(batches) != len(learners):
        raise UserError(f"batches of {len(batches)} learners: expected {len(learners)}")
    return zip_batches(batches)


def _keys(key: Key, count: int) -> Key:
    """Keys [R] of the learners: their own, or the same for all."""
    if key.ndim and len(key) != count:
        raise UserError(f"{len(key)} keys: expected {count}, one for each learner")
    return key if key.ndim else jnp.stack([key] * count)


def _stack(trees: Sequence[PyTree]) -> PyTree:
    """Trees stacked, [R, ...]; a single one as it is."""
    return _stack_all(trees) if len(trees) > 1 else trees[0]


def _stack_all(trees: Sequence[PyTree]) -> PyTree:
    return jax.tree.map(lambda *x: jnp.stack(x), *trees)


_zip = functools.partial(zip, strict=True)
