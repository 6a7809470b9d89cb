"""A program run operation by operation, and what is not finite traced to its causes."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend import core

from fdl.tools.blocks import Block, blocks
from fdl.tools.operations import Operation, flaw, numbers, operation

Marked = tuple[Any, int | None]  # A value, and the number of its node if it has a flaw.


class Node(NamedTuple):
    """A value that is not finite. One without causes and names is a constant.

    Attributes:
      nan: Whether there is a NaN in it; or else infinities only.
      causes: Numbers of the nodes that it was made of.
      operation: What made it of something better, or first used a constant.
      argument: The name of the argument that it is; or nothing.
    """

    nan: bool
    causes: tuple[int, ...] = ()
    operation: Operation | None = None
    argument: str = ""

    @property
    def constant(self) -> bool:
        """Whether it is of the program itself: a mask of -inf, say."""
        return not (self.causes or self.operation or self.argument)


class Trail(NamedTuple):
    """Where a walk is, and what it has found.

    Attributes:
      nodes: All up to here, in the order in which they were computed.
      blocks: Of each program that was walked through, by its identity.
      equations: Those around it, from the outermost on.
      loops: The iteration of each loop around it.
    """

    nodes: list[Node]
    blocks: dict[int, list[Block]]
    equations: tuple[Any, ...] = ()
    loops: tuple[str, ...] = ()


def walk(program: Any, arguments: Sequence[Marked], trail: Trail) -> list[Marked]:
    """Evaluates a jaxpr, and looks at the results of each equation.

    What holds a jaxpr itself is evaluated as a whole, and walked into only if something
    comes out of it that is not finite.

    Args:
      program: The jaxpr, closed.
      arguments: Its arguments.
      trail: Gains nodes.

    Returns:
      The outputs.
    """
    jaxpr = getattr(program, "jaxpr", program)
    constants = getattr(program, "consts", ())
    known: dict[Any, Marked] = {
        variable: (value, _constant(value, trail))
        for variable, value in zip(jaxpr.constvars, constants, strict=True)
    }
    known.update(zip(jaxpr.invars, arguments, strict=True))

    def read(atom: Any) -> Marked:
        if isinstance(atom, core.Literal):
            return atom.val, _constant(atom.val, trail)
        return known[atom]

    if id(jaxpr) not in trail.blocks:
        trail.blocks[id(jaxpr)] = blocks(jaxpr)
    for block in trail.blocks[id(jaxpr)]:
        found = block.run([known[variable][0] for variable in block.inputs])
        for equation, results, unused in zip(
            block.equations, found, block.unused, strict=True
        ):
            operands = [read(atom) for atom in equation.invars]
            marks = _blame(equation, operands, results, trail)
            marked = zip(results, marks, strict=True)
            known.update(zip(equation.outvars, marked, strict=True))
            for variable in unused:
                del known[variable]
    return [read(atom) for atom in jaxpr.outvars]


def _blame(
    equation: Any, operands: Sequence[Marked], results: Sequence[Any], trail: Trail
) -> list[int | None]:
    """The number of the node of each result that has a flaw."""
    flaws = [flaw(result) for result in results]
    if not any(flaws):
        return [None] * len(results)
    inside = _inside(equation, operands, trail) or itertools.repeat((None, None))
    marks: list[int | None] = []
    for kind, result, (_, mark) in zip(flaws, results, inside, strict=False):
        if kind and mark is None:
            mark = _add(equation, operands, result, trail)
        marks.append(mark if kind else None)
    return marks


def _add(equation: Any, operands: Sequence[Marked], result: Any, trail: Trail) -> int:
    """Adds the node of a result."""
    nodes, nan = trail.nodes, flaw(result) == "nan"
    causes = tuple(
        mark
        for place, (_, mark) in enumerate(operands)
        if mark is not None and _counts(equation, operands, place)
    )
    made = None
    spoils = nan and not any(nodes[i].nan for i in causes)
    if not causes or spoils or any(nodes[i].constant for i in causes):
        values = [value for value, _ in operands]
        made = operation((*trail.equations, equation), trail.loops, values, result)
    nodes.append(Node(nan, causes, made))
    return len(nodes) - 1


def _counts(equation: Any, operands: Sequence[Marked], place: int) -> bool:
    """Whether what is not finite in an operand is used: a choice leaves some out."""
    if equation.primitive.name != "select_n" or not place:
        return True
    chosen = np.asarray(operands[0][0]) == place - 1
    array = numbers(operands[place][0])
    return bool((chosen & ~np.isfinite(array)).any())


def _constant(value: Any, trail: Trail) -> int | None:
    kind = flaw(value)
    if not kind:
        return None
    trail.nodes.append(Node(kind == "nan"))
    return len(trail.nodes) - 1


def _inside(
    equation: Any, operands: Sequence[Marked], trail: Trail
) -> list[Marked] | None:
    """Walks into an equation that holds a program; None if it holds none."""
    trail = trail._replace(equations=(*trail.equations, equation))
    params = equation.params
    match equation.primitive.name:
        case "scan":
            return _scan(equation, operands, trail)
        case "while":
            return _while(params, operands, trail)
        case "cond":
            branches = params["branches"]
            index = np.clip(int(operands[0][0]), 0, len(branches) - 1)
            return walk(branches[index], operands[1:], trail)
    shapes = _shapes(equation)
    for program in params.values():
        jaxpr = getattr(program, "jaxpr", program)
        if hasattr(jaxpr, "eqns") and _shapes(jaxpr) == shapes:
            return walk(program, operands, trail)
    return None


def _scan(equation: Any, operands: Sequence[Marked], trail: Trail) -> list[Marked]:
    body, length = equation.params["jaxpr"], equation.params["length"]
    (into, out), (outer_in, outer_out) = _shapes(body), _shapes(equation)
    # An array that is cut into slices has one more axis outside than inside.
    num_slices = sum(map(_longer, outer_in, into))
    num_carry = len(out) - sum(map(_longer, outer_out, out))
    num_constants = len(into) - num_carry - num_slices
    constants, carry = operands[:num_constants], operands[num_constants:][:num_carry]
    stacked: list[Marked] = [(None, None)] * (len(out) - num_carry)
    compiled, order = _compiled(body), range(length)
    for i in reversed(order) if equation.params["reverse"] else order:
        slices = [
            (value[i], mark if flaw(value[i]) else None)
            for value, mark in operands[num_constants + num_carry :]
        ]
        inner = trail._replace(loops=(*trail.loops, f"{i + 1} of {length}"))
        found = _once(body, compiled, [*constants, *carry, *slices], inner)
        carry = found[:num_carry]
        stacked = [
            old if old[1] is not None else new
            for old, new in zip(stacked, found[num_carry:], strict=True)
        ]
    return [*carry, *stacked]


def _while(params: Any, operands: Sequence[Marked], trail: Trail) -> list[Marked]:
    first, second = params["cond_nconsts"], params["body_nconsts"]
    tested, constants = operands[:first], operands[first:][:second]
    carry, body = operands[first + second :], params["body_jaxpr"]
    test, compiled = _compiled(params["cond_jaxpr"]), _compiled(body)
    for i in itertools.count(1):
        if not test(*(value for value, _ in [*tested, *carry]))[0]:
            break
        inner = trail._replace(loops=(*trail.loops, str(i)))
        carry = _once(body, compiled, [*constants, *carry], inner)
    return [*carry]


def _once(
    body: Any, compiled: Callable, given: Sequence[Marked], trail: Trail
) -> list[Marked]:
    """One iteration of a loop, walked through only if something has a flaw."""
    results = compiled(*(value for value, _ in given))
    if any(map(flaw, results)):
        return walk(body, given, trail)
    return [(result, None) for result in results]


def _compiled(program: Any) -> Callable:
    jaxpr, constants = (
        getattr(program, "jaxpr", program),
        getattr(program, "consts", ()),
    )
    return jax.jit(lambda *values: jax.core.eval_jaxpr(jaxpr, constants, *values))


def _shapes(program: Any) -> tuple[list, list]:
    """The shapes of what goes in and comes out of an equation or a jaxpr."""
    jaxpr = getattr(program, "jaxpr", program)
    return [v.aval.shape for v in jaxpr.invars], [v.aval.shape for v in jaxpr.outvars]


def _longer(outer: tuple[int, ...], inner: tuple[int, ...]) -> bool:
    return len(outer) > len(inner)
