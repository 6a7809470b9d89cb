"""The one loop: it knows of no algorithm, and nothing in it waits for the device."""

import collections
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec, SingleDeviceSharding

from fdl.learners.repeat import repeat
from fdl.train.hooks import Hook, read_metrics
from fdl.train.loop_state import LoopState, merge_metrics
from fdl.train.mesh import place_batch, state_sharding
from fdl.types import Array, Batches, Key, Learner, PyTree, State

MAX_CALLS_AHEAD = 16  # Bounds the memory of batches that wait for the device.


class Program(NamedTuple):
    """A learner and its batches, made ready for a mesh; compiled on first use.

    Attributes:
      init: ``init(key) -> carry``, jitted.
      abstract: ``abstract(key) -> carry`` of shapes, dtypes and shardings, unmade.
      advance: ``advance(carry, data, items, num_steps) -> (carry, token)``, jitted; the
        carry is donated. The token is there when the steps are done.
      place: Puts items on the devices, without waiting.
      data: The data of the batches, on the devices.
      steps_per_call: How many items one call takes.
    """

    init: Callable[[Key], LoopState]
    abstract: Callable[[Key], PyTree]
    advance: Callable[..., tuple[LoopState, Array]]
    place: Callable[[PyTree], PyTree]
    data: PyTree
    steps_per_call: int


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
    """Trains a learner from its beginning: no config, no files.

    Args:
      learner: What to train.
      batches: What to feed it.
      num_steps: How many steps.
      seed: Of the learner's key.
      steps_per_call: How many steps run on the device as one fused call.
      mesh: Devices to share the batches; default: one.
      log_every: Period of `log` in steps.
      log: Takes a step and its metrics, the mean over the steps since the last.
      hooks: What else to do on the way.
      stop: Whether to end already, asked between calls; see `early_stopping`.

    Returns:
      The last state.

    Raises:
      NonFiniteError: A metric became NaN or infinite, and `log` saw it.
    """
    program = compiled(learner, batches, steps_per_call=steps_per_call, mesh=mesh)
    carry = program.init(jax.random.key(seed))
    hooks = list(hooks)
    if log is None:
        return iterate(program, carry, batches, 0, num_steps, hooks, stop)[0].state
    watch, flush = read_metrics(log)
    hooks.insert(0, Hook(log_every, watch))
    carry, step = iterate(program, carry, batches, 0, num_steps, hooks, stop)
    if step < num_steps and not (log_every and step % log_every == 0):
        carry = watch(step, carry)
    flush()
    return carry.state


def compiled(
    learner: Learner,
    batches: Batches,
    *,
    steps_per_call: int = 1,
    mesh: Mesh | None = None,
) -> Program:
    """Prepares a learner and its batches for `iterate`; see `run` for the arguments."""
    learner_step = jax.jit(learner.step)  # Traced once, by `init` and `advance`.
    item = next(batches.stream(0))
    example = jax.eval_shape(batches.take, batches.data, item)
    if mesh is not None and mesh.size > 1:  # A batch that cannot be shared shows here.
        place_batch(mesh, batches.batch_axis, item)

    def init(key):
        state = learner.init(key)
        _, metrics = jax.eval_shape(learner_step, state, example)
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), metrics)
        return LoopState(
            state, zeros, {name: jnp.zeros((), jnp.int32) for name in metrics}
        )

    def advance(carry, data, items, num_steps):
        def step(carry, item):
            state, metrics = learner_step(carry.state, batches.take(data, item))
            return merge_metrics(carry, state, metrics), {}

        if steps_per_call == 1:
            carry, _ = step(carry, items)
        else:
            carry, _ = repeat(step)(carry, items, num_steps)
        return carry, jnp.max(carry.state.step)

    shardings, everywhere, place = _layout(learner, batches, steps_per_call, mesh)
    return Program(
        jax.jit(init, out_shardings=shardings),
        functools.partial(_abstract, init, shardings),
        jax.jit(
            advance,
            donate_argnums=0,
            in_shardings=(shardings, None, None, None),
            out_shardings=(shardings, None),
        ),
        place,
        jax.device_put(batches.data, everywhere),
        steps_per_call,
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
      carry: Where to start. It is donated: do not use it afterwards.
      batches: The same as the program's.
      start: Steps that the carry has behind it.
      num_steps: Where to stop, counted from the very beginning.
      hooks: Called in this order.
      stop: Asked between calls.

    Returns:
      The last carry, and its step.
    """
    hooks = list(hooks)
    items, step = batches.stream(start), start
    tokens: collections.deque[Array] = collections.deque()
    while step < num_steps and not stop():
        length = min(
            program.steps_per_call,
            num_steps - step,
            *(hook.every - step % hook.every for hook in hooks if hook.every),
        )
        block = _block(items, length, program.steps_per_call)
        carry, token = program.advance(
            carry, program.data, program.place(block), np.int32(length)
        )
        step += length
        tokens.append(token)
        if len(tokens) > MAX_CALLS_AHEAD:
            tokens.popleft().block_until_ready()
        for hook in hooks:
            if step == num_steps or (hook.every and step % hook.every == 0):
                carry = hook.call(step, carry)
    return carry, step


def _layout(
    learner: Learner, batches: Batches, steps_per_call: int, mesh: Mesh | None
) -> tuple[PyTree, NamedSharding | None, Callable[[PyTree], PyTree]]:
    """Shardings of a carry, that of a copy everywhere, and what places items."""
    if mesh is None or mesh.size == 1:
        return None, None, lambda items: items
    everywhere = NamedSharding(mesh, PartitionSpec())
    state = state_sharding(mesh, learner.partition)
    shardings = LoopState(state, everywhere, everywhere)  # type: ignore[arg-type]
    batch_axis = batches.batch_axis + (steps_per_call > 1)
    return shardings, everywhere, functools.partial(place_batch, mesh, batch_axis)


def _abstract(init: Callable, shardings: PyTree, key: Key) -> PyTree:
    """The shapes, dtypes and shardings of what `init` makes."""
    where = shardings or SingleDeviceSharding(jax.devices()[0])

    def placed(sharding, part):
        return jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), part
        )

    return jax.tree.map(placed, where, jax.eval_shape(init, key))


def _block(items: Iterator[PyTree], length: int, size: int) -> PyTree:
    """The next items, stacked and padded to one size, so that one trace serves all."""
    if size == 1:
        return next(items)
    block = [next(items) for _ in range(length)]
    block += [block[-1]] * (size - length)
    return jax.tree.map(lambda *x: np.stack(x), *block)
