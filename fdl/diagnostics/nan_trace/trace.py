"""Tracing of non-finite outputs to the operation that first produced them."""

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax

from fdl.diagnostics.nan_trace.interpreter import (
    Context,
    ProvenanceNode,
    TrackedValue,
    interpret,
)
from fdl.diagnostics.nan_trace.report import Operation, nonfinite_kind
from fdl.trees import path_name


class Origin(NamedTuple):
    """Origin of NaN or infinity.

    Attributes:
      outputs: Names of the outputs that are not finite.
      arguments: Names of the non-finite arguments that caused it; if there are any,
        there is no operation.
      operation: First operation that computed a non-finite result from finite operands.
        Infinities that are constants of the program are taken for intended: then the
        first operation that computed NaN from them, or else the first that read one.
        None if an output is itself a constant.
      nan_operation: Operation that computed NaN from the infinities of `operation`;
        None if there is no other.
    """

    outputs: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    operation: Operation | None = None
    nan_operation: Operation | None = None


def trace_nonfinite(function: Callable[..., Any], *arguments: Any) -> Origin | None:
    """Traces non-finite outputs to the first operation that produced NaN or infinity.

    The function is traced to a jaxpr, gradients included, and the result of every
    equation is checked, also inside loops, conditionals and custom derivatives. Only
    ancestors of the outputs count: an infinity that is masked out, or whose exponential
    is zero, is not reported. Provenance is that of whole arrays, not of elements: an
    array with non-finite elements may be reported although only its finite ones are
    used. The program is compiled in blocks, and so may differ in the last digits from
    the same program compiled as a whole.

    Args:
      function: Function of pytrees of arrays, to a pytree of arrays; not yet jitted.
      *arguments: Arguments to call it with.

    Returns:
      The origin; None if all outputs are finite.

    Example:
      >>> import jax.numpy as jnp
      >>> origin = trace_nonfinite(lambda x: jnp.log(x).sum(), jnp.array([1.0, 0.0]))
      >>> origin.operation.primitive, origin.operation.position
      ('log', (1,))
    """
    program, shape = jax.make_jaxpr(function, return_shape=True)(*arguments)
    context = Context([], {})
    inputs = [
        _track_argument(name, value, context)
        for name, value in _named_leaves(function, arguments)
    ]
    outputs = interpret(program, inputs, context)
    names = [_leaf_name(path) for path, _ in jax.tree.leaves_with_path(shape)]
    nonfinite = [
        (name, node)
        for name, (_, node) in zip(names, outputs, strict=True)
        if node is not None
    ]
    if not nonfinite:
        return None
    return _find_origin(
        tuple(name for name, _ in nonfinite),
        {node for _, node in nonfinite},
        context.nodes,
    )


def _find_origin(
    outputs: tuple[str, ...], targets: set[int], nodes: Sequence[ProvenanceNode]
) -> Origin:
    # Nodes are numbered in the order of computation: the least is the earliest.
    first, nan_maker = min(
        (_origin_of(target, nodes) for target in targets), key=lambda pair: pair[0]
    )
    if nodes[first].argument:
        ancestors = (nodes[i] for i in _ancestors(targets, nodes))
        names = (x.argument for x in ancestors if x.has_nan == nodes[first].has_nan)
        return Origin(outputs, tuple(filter(None, names)))
    nan_operation = None if nan_maker is None else nodes[nan_maker].operation
    return Origin(outputs, (), nodes[first].operation, nan_operation)


def _origin_of(target: int, nodes: Sequence[ProvenanceNode]) -> tuple[int, int | None]:
    """Node at which an output went wrong, and that which made NaN of its infinity."""
    ancestors = _ancestors({target}, nodes)
    nans = [i for i in ancestors if nodes[i].has_nan]
    new_nans = [i for i in nans if not any(nodes[j].has_nan for j in nodes[i].parents)]
    if new_nans and nodes[new_nans[0]].is_constant:
        return _first_constant_reader(ancestors, nodes), None
    if not new_nans:
        source = _first_source(ancestors, nodes)
        if source is None:
            source = _first_constant_reader(ancestors, nodes)
        return source, None
    # NaN of infinite operands: what made them infinite came first. Nothing did if they
    # are constants, such as the -inf of a mask.
    source = _first_source(_ancestors(nodes[new_nans[0]].parents, nodes), nodes)
    return (new_nans[0], None) if source is None else (source, new_nans[0])


def _first_source(
    ancestors: Sequence[int], nodes: Sequence[ProvenanceNode]
) -> int | None:
    """First node with finite operands only, constants excepted; None without any."""
    sources = (
        i for i in ancestors if not nodes[i].parents and not nodes[i].is_constant
    )
    return next(sources, None)


def _first_constant_reader(
    ancestors: Sequence[int], nodes: Sequence[ProvenanceNode]
) -> int:
    """First node with a constant as a parent; the constant itself without any."""
    readers = (
        i for i in ancestors if any(nodes[j].is_constant for j in nodes[i].parents)
    )
    return next(readers, ancestors[0])


def _ancestors(targets: Iterable[int], nodes: Sequence[ProvenanceNode]) -> list[int]:
    """Ancestors of some nodes, themselves included, in order of computation."""
    visited: set[int] = set()
    stack = [*targets]
    while stack:
        node = stack.pop()
        if node not in visited:
            visited.add(node)
            stack += nodes[node].parents
    return sorted(visited)


def _track_argument(name: str, value: Any, context: Context) -> TrackedValue:
    kind = nonfinite_kind(value)
    if not kind:
        return value, None
    context.nodes.append(ProvenanceNode(kind == "nan", argument=name))
    return value, len(context.nodes) - 1


def _named_leaves(
    function: Callable[..., Any], arguments: tuple
) -> list[tuple[str, Any]]:
    """Leaves of all arguments, named by the parameters of the function."""
    bound = inspect.signature(function).bind(*arguments).arguments
    # The order of parameters, and of leaves within each, is that of the jaxpr's inputs.
    flat = [
        (name, part)
        for name, value in bound.items()
        for part in jax.tree.leaves_with_path(value)
    ]
    return [(_leaf_name(path, name), value) for name, (path, value) in flat]


def _leaf_name(path: Any, parameter: str = "") -> str:
    return "/".join(filter(None, (parameter, path_name(path))))
