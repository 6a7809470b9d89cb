"""Compilation of a jaxpr in blocks of equations."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
from jax.extend import core

# Equations are dispatched faster together than one by one, but the results of all
# equations in a block have to be kept until each of them has been checked.
BLOCK_SIZE = 64


class Block(NamedTuple):
    """Consecutive equations of a jaxpr, compiled as one function.

    Attributes:
      equations: Equations, in order.
      inputs: Variables that the equations read and that are defined outside the block.
      run: Jitted function of the values of `inputs`, which returns the list of results
        of each equation.
      dead_after: Variables that are no longer needed after each equation.
    """

    equations: list[Any]
    inputs: list[Any]
    run: Callable[[list[Any]], list[list[Any]]]
    dead_after: list[list[Any]]


def compile_blocks(jaxpr: Any) -> list[Block]:
    """Blocks of a jaxpr, in order; each is compiled on its first run."""
    dead_after = _dead_variables(jaxpr)
    blocks = []
    for start in range(0, len(jaxpr.eqns), BLOCK_SIZE):
        part = slice(start, start + BLOCK_SIZE)
        equations = jaxpr.eqns[part]
        defined = {variable for equation in equations for variable in equation.outvars}
        read = (atom for equation in equations for atom in equation.invars)
        # A dict, unlike a set, keeps the order of the variables that it deduplicates.
        inputs = [
            *dict.fromkeys(
                atom
                for atom in read
                if not isinstance(atom, core.Literal) and atom not in defined
            )
        ]
        run = jax.jit(functools.partial(_eval_equations, equations, inputs))
        blocks.append(Block(equations, inputs, run, dead_after[part]))
    return blocks


def _eval_equations(
    equations: Sequence[Any], inputs: Sequence[Any], values: Sequence[Any]
) -> list[list[Any]]:
    """Results of each equation, as in `jax.core.eval_jaxpr`."""
    environment = dict(zip(inputs, values, strict=True))
    results_by_equation: list[list[Any]] = []
    for equation in equations:
        operands = [
            atom.val if isinstance(atom, core.Literal) else environment[atom]
            for atom in equation.invars
        ]
        primitive = equation.primitive
        # Primitives with custom derivatives are bound to functions, but their equations
        # hold jaxprs: this converts one into the other.
        params = primitive.get_bind_params(equation.params)
        with equation.ctx.manager:
            results = primitive.bind(*operands, **params)
        results_by_equation.append(
            [*results] if primitive.multiple_results else [results]
        )
        environment.update(zip(equation.outvars, results_by_equation[-1], strict=True))
    return results_by_equation


def _dead_variables(jaxpr: Any) -> list[list[Any]]:
    """Variables that each equation is the last to read, or defines without any use."""
    last_use: dict[Any, int] = {}
    for index, equation in enumerate(jaxpr.eqns):
        for atom in (*equation.invars, *equation.outvars):
            if not isinstance(atom, core.Literal):
                last_use[atom] = index
    # Outputs of the jaxpr stay alive to the end.
    for atom in jaxpr.outvars:
        if not isinstance(atom, core.Literal):
            last_use.pop(atom, None)
    dead_after: list[list[Any]] = [[] for _ in jaxpr.eqns]
    for variable, index in last_use.items():
        dead_after[index].append(variable)
    return dead_after
