"""The equations of a program, cut into blocks that are compiled together."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
from jax.extend import core

BLOCK_SIZE = 64


class Block(NamedTuple):
    """Equations that are compiled together, which is faster than each alone.

    Attributes:
      equations: In order.
      inputs: The variables that they read, and that come from elsewhere.
      run: Of the values of the inputs, to the results of each equation; jitted.
      unused: The variables that each equation is the last to use, or makes for nobody.
    """

    equations: list[Any]
    inputs: list[Any]
    run: Callable[[list[Any]], list[list[Any]]]
    unused: list[list[Any]]


def blocks(jaxpr: Any) -> list[Block]:
    """The blocks of a jaxpr, in order."""
    unused, found = _last_uses(jaxpr), []
    for start in range(0, len(jaxpr.eqns), BLOCK_SIZE):
        part = slice(start, start + BLOCK_SIZE)
        equations = jaxpr.eqns[part]
        made = {variable for equation in equations for variable in equation.outvars}
        read = (atom for equation in equations for atom in equation.invars)
        inputs = [
            *dict.fromkeys(
                atom
                for atom in read
                if not isinstance(atom, core.Literal) and atom not in made
            )
        ]
        run = jax.jit(functools.partial(_run, equations, inputs))
        found.append(Block(equations, inputs, run, unused[part]))
    return found


def _run(
    equations: Sequence[Any], inputs: Sequence[Any], values: Sequence[Any]
) -> list[list[Any]]:
    """The results of each equation."""
    known = dict(zip(inputs, values, strict=True))
    found: list[list[Any]] = []
    for equation in equations:
        operands = [
            atom.val if isinstance(atom, core.Literal) else known[atom]
            for atom in equation.invars
        ]
        primitive = equation.primitive
        params = primitive.get_bind_params(equation.params)
        with equation.ctx.manager:
            results = primitive.bind(*operands, **params)
        found.append([*results] if primitive.multiple_results else [results])
        known.update(zip(equation.outvars, found[-1], strict=True))
    return found


def _last_uses(jaxpr: Any) -> list[list[Any]]:
    """The variables that each equation is the last to use, or makes for nobody."""
    last: dict[Any, int] = {}
    for place, equation in enumerate(jaxpr.eqns):
        for atom in (*equation.invars, *equation.outvars):
            if not isinstance(atom, core.Literal):
                last[atom] = place
    for atom in jaxpr.outvars:
        if not isinstance(atom, core.Literal):
            last.pop(atom, None)
    unused: list[list[Any]] = [[] for _ in jaxpr.eqns]
    for variable, place in last.items():
        unused[place].append(variable)
    return unused
