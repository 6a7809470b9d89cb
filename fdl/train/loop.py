"""Training loop for any learner, with asynchronous dispatch to the devices."""

import collections
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec, SingleDeviceSharding

from fdl.config import MAX_STEPS, RANGES, in_range
from fdl.errors import RunError, UserError, check_parameters, check_type
from fdl.learners.repeat import repeat
from fdl.learners.step_outputs import check_arrays, check_same_form, checked
from fdl.train.hooks import Hook, read_metrics
from fdl.train.loop_state import LoopState, merge_metrics
from fdl.train.mesh import place_batch, state_sharding
from fdl.types import Array, Batches, Key, Learner, PyTree, State

# The host dispatches calls ahead of the device. Each holds a batch in memory, so their
# number is limited.
MAX_CALLS_AHEAD = 16

# Compiling what runs once is dearer than running it: half the time, and the same bits.
RUN_ONCE = {"xla_backend_optimization_level": 1}


class Program(NamedTuple):
    """Jitted functions of a learner and its batches on a mesh; compiled on first use.

    Attributes:
      init: ``init(key) -> carry``, jitted.
      abstract: ``abstract(key) -> carry`` of `jax.ShapeDtypeStruct` with shardings.
      advance: ``advance(carry, data, items, num_steps) -> (carry, token)``, jitted; the
        carry is donated. The token is an array that is ready when the steps are.
      place: ``place(items) -> items`` on the devices, without waiting.
      data: Data of the batches, on the devices.
      steps_per_call: Number of items of one call.
      persist: ``persist(carry)``, the part of a carry that a checkpoint holds.
      revive: ``revive(part, key)``, the carry of such a part, jitted if it computes.
      saved: ``saved(key)``, the abstract part of a carry, with shardings.
    """

    init: Callable[[Key], LoopState]
    abstract: Callable[[Key], PyTree]
    advance: Callable[..., tuple[LoopState, Array]]
    place: Callable[[PyTree], PyTree]
    data: PyTree
    steps_per_call: int
    persist: Callable[[LoopState], LoopState]
    revive: Callable[[LoopState, Key], LoopState]
    saved: Callable[[Key], PyTree]


def run(
    learner: Learner,
    batches: Batches,
    *,
    num_steps: int,
    seed: int = 0,
    steps_per_call: int = 1,
    mesh: Mesh | None = None,
    log_every: int = 0,
    log: Callable[[int, Mapping[str, Any]], None] | None = None,
    hooks: Iterable[Hook] = (),
    stop: Callable[[], bool] = lambda: False,
) -> State:
    """Trains a learner from its initial state, without a config and without files.

    Args:
      learner: Learner to train.
      batches: Batches to train on.
      num_steps: Number of steps.
      seed: Seed of the learner's key.
      steps_per_call: Number of steps that run on the device in one call.
      mesh: Mesh of devices over which batches are sharded; default: one device.
      log_every: Period of `log` in steps; default: after the last step only.
      log: ``log(step, values)`` with the metrics over the steps since the last call.
      hooks: Further hooks, called after `log` in this order.
      stop: ``stop()``, called before each call of the program; training ends once it
        returns true. See `early_stopping`.

    Returns:
      The final state.

    Raises:
      UserError: A number of steps is no integer, or too large.
      NonFiniteError: A metric became NaN or infinite; raised only with `log`.
    """
    num_steps = in_range("num_steps", num_steps, 0, MAX_STEPS)
    log_every = in_range("log_every", log_every, 0, MAX_STEPS)
    program = compiled(learner, batches, steps_per_call=steps_per_call, mesh=mesh)
    carry = program.init(jax.random.key(seed))
    hooks = list(hooks)
    if log is None:
        return iterate(program, carry, batches, 0, num_steps, hooks, stop)[0].state
    record_metrics, flush = read_metrics(log)
    hooks.insert(0, Hook(log_every, record_metrics))
    carry, step = iterate(program, carry, batches, 0, num_steps, hooks, stop)
    # If stopped early, the last hooks were not called: the carry may hold metrics.
    if step < num_steps and not (log_every and step % log_every == 0):
        carry = record_metrics(step, carry)
    flush()
    return carry.state


def compiled(
    learner: Learner,
    batches: Batches,
    *,
    steps_per_call: int = 1,
    mesh: Mesh | None = None,
) -> Program:
    """Program of a learner and its batches for `iterate`; see `run` for arguments."""
    check_type("learner", learner, Learner, "fdl.gradient_learner(...)")
    check_type("batches", batches, Batches, "fdl.data.batches(arrays, batch_size)")
    check_parameters("init", learner.init, "key")
    steps_per_call = in_range(
        "steps_per_call", steps_per_call, *RANGES["steps_per_call"]
    )
    check_parameters("step", learner.step, "state, batch")
    # Jitted, so that `init` and `advance` share one trace.
    learner_step = jax.jit(checked(learner.step))
    item = next(batches.stream(0))
    example = jax.eval_shape(batches.take, batches.data, item)
    # A batch that cannot be sharded raises here, before anything is compiled.
    if mesh is not None and mesh.size > 1:
        place_batch(mesh, batches.batch_axis, item)

    def init(key):
        state = learner.init(key)
        check_arrays(state)
        # Metrics are sums, so that zeros are their neutral element. Which there are is
        # known from the shapes of a step only.
        after, metrics = jax.eval_shape(learner_step, state, example)
        check_same_form(jax.eval_shape(lambda: state), after)
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), metrics)
        step = jnp.zeros((), jnp.int32)
        return LoopState(step, state, zeros, {name: step for name in metrics})

    def advance(carry, data, items, num_steps):
        def step(carry, item):
            state, metrics = learner_step(carry.state, batches.take(data, item))
            return merge_metrics(carry, state, metrics), {}

        if steps_per_call == 1:
            carry, _ = step(carry, items)
        else:
            carry, _ = repeat(step)(carry, items, num_steps)
        # The token: an array of its own, which the donation of the carry leaves alive.
        return carry, jnp.copy(carry.step)

    shardings, replicated, place = _layout(learner, batches, steps_per_call, mesh)
    abstract = functools.partial(_abstract, init, shardings)
    return Program(
        jax.jit(init, out_shardings=shardings, compiler_options=RUN_ONCE),
        abstract,
        jax.jit(
            advance,
            donate_argnums=0,
            in_shardings=(shardings, None, None, None),
            out_shardings=(shardings, None),
        ),
        place,
        jax.device_put(batches.data, replicated),
        steps_per_call,
        *_persistence(learner, abstract, shardings, replicated),
    )


def iterate(
    program: Program,
    carry: LoopState,
    batches: Batches,
    start: int,
    num_steps: int,
    hooks: Iterable[Hook] = (),
    stop: Callable[[], bool] = lambda: False,
) -> tuple[LoopState, int]:
    """Advances from step ``start`` to ``num_steps``, or until ``stop()``.

    Args:
      program: From `compiled`.
      carry: Carry to start from. It is donated: do not use it afterwards.
      batches: The same batches as of the program.
      start: Step of the carry.
      num_steps: Step at which to end, counted from the initial state.
      hooks: Hooks, called in this order.
      stop: ``stop()``, called before each call of the program; true ends the loop.

    Returns:
      The final carry, and its step.
    """
    hooks = list(hooks)
    for hook in hooks:
        check_type("hook", hook, Hook, "fdl.train.Hook(every, call)")
    read, step = _reader(batches.stream(start), program.steps_per_call), start
    tokens: collections.deque[Array] = collections.deque()
    while step < num_steps and not stop():
        # A call ends where a hook is due, since hooks run between calls.
        length = min(
            program.steps_per_call,
            num_steps - step,
            *(hook.every - step % hook.every for hook in hooks if hook.every),
        )
        block, length = read(length)
        carry, token = program.advance(
            carry, program.data, program.place(block), np.int32(length)
        )
        step += length
        tokens.append(token)
        # Waits for the call before the last MAX_CALLS_AHEAD, not for the latest one, so
        # that the device is never idle.
        if len(tokens) > MAX_CALLS_AHEAD:
            tokens.popleft().block_until_ready()
        for hook in hooks:
            if step == num_steps or (hook.every and step % hook.every == 0):
                carry = _call(hook, step, carry)
    return carry, step


def _call(hook: Hook, step: int, carry: LoopState) -> LoopState:
    """Carry after a hook, which may return None for the same."""
    changed = hook.call(step, carry)
    if changed is None:
        return carry
    if not isinstance(changed, LoopState):
        raise UserError(
            f"hook returns {type(changed).__name__}: expected its argument, a "
            "LoopState, changed or not, or None"
        )
    return changed


def _layout(
    learner: Learner, batches: Batches, steps_per_call: int, mesh: Mesh | None
) -> tuple[PyTree, NamedSharding | None, Callable[[PyTree], PyTree]]:
    """Sharding of the carry, replicated sharding, and function that places items."""
    if mesh is None or mesh.size == 1:
        return None, None, lambda items: items
    replicated = NamedSharding(mesh, PartitionSpec())
    state = state_sharding(mesh, learner.partition)
    # Shardings are a prefix of the tree: one serves all metrics.
    shardings: Any = LoopState(replicated, state, replicated, replicated)  # type: ignore[arg-type]
    # Stacking the items of several steps adds a leading axis.
    batch_axis = batches.batch_axis + (steps_per_call > 1)
    return shardings, replicated, functools.partial(place_batch, mesh, batch_axis)


def _persistence(
    learner: Learner,
    abstract: Callable[[Key], PyTree],
    shardings: PyTree,
    replicated: NamedSharding | None,
) -> tuple[Callable, Callable, Callable]:
    """Functions of the part of a carry that a checkpoint holds; see `Program`."""
    if learner.persist is None:
        return lambda carry: carry, lambda part, key: part, abstract
    if learner.revive is None:
        raise UserError("revive=None: expected a function, as the learner has persist")
    persist_state, revive_state = learner.persist, learner.revive

    def persist(carry):
        return carry._replace(state=persist_state(carry.state))

    def revive(part, key):
        return part._replace(state=revive_state(part.state, key))

    def saved(key):
        sharding = replicated or SingleDeviceSharding(jax.devices()[0])
        return jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding),
            jax.eval_shape(persist, abstract(key)),
        )

    revived = jax.jit(revive, out_shardings=shardings, compiler_options=RUN_ONCE)
    return persist, revived, saved


def _abstract(init: Callable, shardings: PyTree, key: Key) -> PyTree:
    """Shapes, dtypes and shardings of the carry that `init` returns."""
    prefix = shardings or SingleDeviceSharding(jax.devices()[0])

    def with_sharding(sharding, part):
        return jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), part
        )

    return jax.tree.map(with_sharding, prefix, jax.eval_shape(init, key))


def _reader(items: Iterator[PyTree], size: int) -> Callable[[int], tuple[PyTree, int]]:
    """Function that reads the items of a call, ``read(length) -> (block, length)``.

    Items are stacked and padded to `size`, so that one compilation serves all calls.
    Padding repeats the last item; the program runs only the first `length` steps, which
    are fewer than asked for where the next item has another shape.
    """
    # One by one, items are not compared.
    runs = itertools.groupby(items, _shapes if size > 1 else lambda item: None)
    run: Iterator[PyTree] = iter(())

    def read(length: int) -> tuple[PyTree, int]:
        nonlocal run
        block = list(itertools.islice(run, length))
        if not block:
            _, run = next(runs, (None, iter(())))
            block = list(itertools.islice(run, length))
        if not block:
            raise RunError("batches.stream has ended: expected a stream without an end")
        if size == 1:
            return block[0], 1
        padded = block + [block[-1]] * (size - len(block))
        return jax.tree.map(lambda *x: np.stack(x), *padded), len(block)

    return read


def _shapes(item: PyTree) -> Any:
    """Structure of an item and shapes of its arrays."""
    leaves, structure = jax.tree.flatten(item)
    return structure, [np.shape(leaf) for leaf in leaves]
