"""Interpreter of jaxprs that records the provenance of NaN and infinity."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend import core

from fdl.diagnostics.nan_trace.compile import Block, compile_blocks
from fdl.diagnostics.nan_trace.report import (
    Operation,
    describe_operation,
    inexact_array,
    nonfinite_kind,
)

# A value, and the index of its node in the provenance graph; None if it is finite.
TrackedValue = tuple[Any, int | None]


class ProvenanceNode(NamedTuple):
    """Non-finite value in the provenance graph.

    Attributes:
      has_nan: True if it contains NaN; False if it contains infinities only.
      parents: Indices of the nodes of the operands that it was computed from.
      operation: Operation that computed it, where that is of interest: if it made
        NaN or infinity of finite operands, NaN of infinite ones, or read a constant.
      argument: Name of the argument that it is; empty for all others.
    """

    has_nan: bool
    parents: tuple[int, ...] = ()
    operation: Operation | None = None
    argument: str = ""

    @property
    def is_constant(self) -> bool:
        """True for a constant of the program, such as the -inf of a mask."""
        return not (self.parents or self.operation or self.argument)


class Context(NamedTuple):
    """Context of the interpreter.

    Attributes:
      nodes: The provenance graph: all nodes so far, in order of computation. Shared by
        all contexts of a run, and appended to.
      blocks: Compiled blocks of each jaxpr, by the `id` of the jaxpr; shared likewise.
      equations: Enclosing equations, outermost first.
      loops: Current iteration of each enclosing loop, outermost first.
    """

    nodes: list[ProvenanceNode]
    blocks: dict[int, list[Block]]
    equations: tuple[Any, ...] = ()
    loops: tuple[str, ...] = ()


def interpret(
    program: Any, arguments: Sequence[TrackedValue], context: Context
) -> list[TrackedValue]:
    """Evaluates a jaxpr, and adds a node for each non-finite result of an equation.

    An equation with a subprogram (a loop, a branch, a jitted function) is evaluated as
    a whole, and interpreted only if one of its results is not finite.

    Args:
      program: Jaxpr or closed jaxpr.
      arguments: Its arguments.
      context: Context; nodes are appended to it.

    Returns:
      The outputs of the jaxpr.
    """
    jaxpr = getattr(program, "jaxpr", program)
    constants = getattr(program, "consts", ())
    environment: dict[Any, TrackedValue] = {
        variable: (value, _add_constant(value, context))
        for variable, value in zip(jaxpr.constvars, constants, strict=True)
    }
    environment.update(zip(jaxpr.invars, arguments, strict=True))

    def read(atom: Any) -> TrackedValue:
        if isinstance(atom, core.Literal):
            return atom.val, _add_constant(atom.val, context)
        return environment[atom]

    # The body of a loop is interpreted many times, but compiled once. An `id` is safe
    # as the key: the traced program keeps its jaxprs alive.
    if id(jaxpr) not in context.blocks:
        context.blocks[id(jaxpr)] = compile_blocks(jaxpr)
    for block in context.blocks[id(jaxpr)]:
        block_results = block.run([environment[v][0] for v in block.inputs])
        for equation, results, dead_variables in zip(
            block.equations, block_results, block.dead_after, strict=True
        ):
            operands = [read(atom) for atom in equation.invars]
            nodes = _record_results(equation, operands, results, context)
            tracked = zip(results, nodes, strict=True)
            environment.update(zip(equation.outvars, tracked, strict=True))
            # Frees memory: without it, all intermediate values would be held at once.
            for variable in dead_variables:
                del environment[variable]
    return [read(atom) for atom in jaxpr.outvars]


def _record_results(
    equation: Any,
    operands: Sequence[TrackedValue],
    results: Sequence[Any],
    context: Context,
) -> list[int | None]:
    """Index of the node of each result; None for those that are finite."""
    kinds = [nonfinite_kind(result) for result in results]
    if not any(kinds):
        return [None] * len(results)
    inner = _interpret_subprogram(equation, operands, context)
    inner_results = inner or itertools.repeat((None, None))
    nodes: list[int | None] = []
    for kind, result, (_, node) in zip(kinds, results, inner_results, strict=False):
        # A subprogram run in smaller parts is rounded otherwise, and may be finite
        # where the whole was not: then the equation itself is the operation to name.
        if kind and node is None:
            node = _add_result(equation, operands, result, context)
        nodes.append(node if kind else None)
    return nodes


def _add_result(
    equation: Any, operands: Sequence[TrackedValue], result: Any, context: Context
) -> int:
    """Adds the node of a result, and returns its index."""
    nodes, has_nan = context.nodes, nonfinite_kind(result) == "nan"
    parents = tuple(
        node
        for index, (_, node) in enumerate(operands)
        if node is not None and _contributes(equation, operands, index)
    )
    operation = None
    makes_nan = has_nan and not any(nodes[i].has_nan for i in parents)
    # To describe an operation takes reductions of all its operands, so those that only
    # pass on what was non-finite before are left out.
    if not parents or makes_nan or any(nodes[i].is_constant for i in parents):
        values = [value for value, _ in operands]
        equations = (*context.equations, equation)
        operation = describe_operation(equations, context.loops, values, result)
    nodes.append(ProvenanceNode(has_nan, parents, operation))
    return len(nodes) - 1


def _contributes(equation: Any, operands: Sequence[TrackedValue], index: int) -> bool:
    """True if a non-finite element of an operand reaches the result.

    Only `select_n`, the primitive of `jnp.where`, drops elements of its operands.
    """
    if equation.primitive.name != "select_n" or not index:
        return True
    # Operand 0 is the selector; its value i picks operand i + 1.
    chosen = np.asarray(operands[0][0]) == index - 1
    array = inexact_array(operands[index][0])
    return bool((chosen & ~np.isfinite(array)).any())


def _add_constant(value: Any, context: Context) -> int | None:
    """Adds a node for a constant, and returns its index; None if it is finite."""
    kind = nonfinite_kind(value)
    if not kind:
        return None
    context.nodes.append(ProvenanceNode(kind == "nan"))
    return len(context.nodes) - 1


def _interpret_subprogram(
    equation: Any, operands: Sequence[TrackedValue], context: Context
) -> list[TrackedValue] | None:
    """Outputs of the subprogram of an equation; None if it has none."""
    context = context._replace(equations=(*context.equations, equation))
    params = equation.params
    match equation.primitive.name:
        case "scan":
            return _interpret_scan(equation, operands, context)
        case "while":
            return _interpret_while(params, operands, context)
        case "cond":
            branches = params["branches"]
            # lax.switch clamps an index that is out of range.
            index = np.clip(int(operands[0][0]), 0, len(branches) - 1)
            return interpret(branches[index], operands[1:], context)
    # Primitives such as pjit, remat and custom_vjp_call name their subprogram
    # differently. A subprogram of the same shapes as the equation computes its results.
    shapes = _shapes(equation)
    for program in params.values():
        jaxpr = getattr(program, "jaxpr", program)
        if hasattr(jaxpr, "eqns") and _shapes(jaxpr) == shapes:
            return interpret(program, operands, context)
    return None


def _interpret_scan(
    equation: Any, operands: Sequence[TrackedValue], context: Context
) -> list[TrackedValue]:
    """Outputs of a scan: its carry, and stacked outputs by their first bad node."""
    body, length = equation.params["jaxpr"], equation.params["length"]
    (body_in, body_out), (scan_in, scan_out) = _shapes(body), _shapes(equation)
    # An array that is cut into slices has one more axis outside than inside.
    num_slices = sum(map(_has_more_axes, scan_in, body_in))
    num_carry = len(body_out) - sum(map(_has_more_axes, scan_out, body_out))
    num_constants = len(body_in) - num_carry - num_slices
    constants, carry = operands[:num_constants], operands[num_constants:][:num_carry]
    # Values of stacked outputs are not collected: the caller has them from the run of
    # the whole equation, and reads nothing but the nodes.
    stacked: list[TrackedValue] = [(None, None)] * (len(body_out) - num_carry)
    compiled, order = _jit(body), range(length)
    for i in reversed(order) if equation.params["reverse"] else order:
        slices = [
            (value[i], node if nonfinite_kind(value[i]) else None)
            for value, node in operands[num_constants + num_carry :]
        ]
        inner = context._replace(loops=(*context.loops, f"{i + 1} of {length}"))
        outputs = _interpret_iteration(
            body, compiled, [*constants, *carry, *slices], inner
        )
        carry = outputs[:num_carry]
        stacked = [
            old if old[1] is not None else new
            for old, new in zip(stacked, outputs[num_carry:], strict=True)
        ]
    return [*carry, *stacked]


def _interpret_while(
    params: Any, operands: Sequence[TrackedValue], context: Context
) -> list[TrackedValue]:
    """Outputs of a while loop."""
    # Operands are the constants of the condition, those of the body, and the carry.
    num_cond, num_body = params["cond_nconsts"], params["body_nconsts"]
    cond_constants = operands[:num_cond]
    body_constants = operands[num_cond:][:num_body]
    carry, body = operands[num_cond + num_body :], params["body_jaxpr"]
    condition, compiled = _jit(params["cond_jaxpr"]), _jit(body)
    for i in itertools.count(1):
        if not condition(*(value for value, _ in [*cond_constants, *carry]))[0]:
            break
        inner = context._replace(loops=(*context.loops, str(i)))
        carry = _interpret_iteration(body, compiled, [*body_constants, *carry], inner)
    return [*carry]


def _interpret_iteration(
    body: Any, compiled: Callable, inputs: Sequence[TrackedValue], context: Context
) -> list[TrackedValue]:
    """Outputs of one iteration, interpreted only if one of them is not finite."""
    results = compiled(*(value for value, _ in inputs))
    if any(map(nonfinite_kind, results)):
        return interpret(body, inputs, context)
    return [(result, None) for result in results]


def _jit(program: Any) -> Callable:
    """Jitted function that evaluates a jaxpr."""
    jaxpr, constants = (
        getattr(program, "jaxpr", program),
        getattr(program, "consts", ()),
    )
    return jax.jit(lambda *values: jax.core.eval_jaxpr(jaxpr, constants, *values))


def _shapes(program: Any) -> tuple[list, list]:
    """Shapes of the inputs and of the outputs of an equation or a jaxpr."""
    jaxpr = getattr(program, "jaxpr", program)
    return [v.aval.shape for v in jaxpr.invars], [v.aval.shape for v in jaxpr.outvars]


def _has_more_axes(outer: tuple[int, ...], inner: tuple[int, ...]) -> bool:
    return len(outer) > len(inner)
