"""The first operation that made a NaN or an infinity."""

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax

from fdl.tools.operations import Operation, flaw
from fdl.tools.walking import Marked, Node, Trail, walk


class Origin(NamedTuple):
    """Where a number that is not finite comes from.

    Attributes:
      outputs: Names of the outputs that are not finite.
      arguments: Names of the arguments that were not finite in the first place, and
        brought it about; then there may be no operation to name.
      operation: The first that made a number that is not finite out of such that are.
        Where infinities are meant, being constants of the program: the first that made
        a NaN of them, or else the first that used one.
      spoiled: The operation that made a NaN of the infinities of that one, if another.
    """

    outputs: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    operation: Operation | None = None
    spoiled: Operation | None = None


def origin(function: Callable[..., Any], *arguments: Any) -> Origin | None:
    """Names the first operation that made an output NaN or infinite.

    The function is traced, gradients and all, and the result of every operation is
    looked at, also within loops, conditions and functions with a derivative of their
    own. Only what the outputs were made of counts: an infinity that a mask leaves out,
    or whose exponential is zero, is not to blame. That is told of whole arrays: where
    numbers of one are not finite, and others of it are used, all of it may be blamed.
    It is compiled in small parts, and so may differ in its last digits from what is
    compiled as one.

    Args:
      function: Of arrays, to arrays; it is not jitted.
      *arguments: What it is called with.

    Returns:
      Where it comes from; None if all outputs are finite.

    Example:
      >>> import jax.numpy as jnp
      >>> found = origin(lambda x: jnp.log(x).sum(), jnp.array([1.0, 0.0]))
      >>> found.operation.primitive, found.operation.place
      ('log', (1,))
    """
    program, shape = jax.make_jaxpr(function, return_shape=True)(*arguments)
    trail = Trail([], {})
    given = [
        _argument(name, value, trail) for name, value in _named(function, arguments)
    ]
    found = walk(program, given, trail)
    names = [_name(path) for path, _ in jax.tree.leaves_with_path(shape)]
    bad = [
        (n, mark) for n, (_, mark) in zip(names, found, strict=True) if mark is not None
    ]
    if not bad:
        return None
    return _explain(tuple(n for n, _ in bad), {mark for _, mark in bad}, trail.nodes)


def _explain(
    outputs: tuple[str, ...], marks: set[int], nodes: Sequence[Node]
) -> Origin:
    first, spoiling = min(
        (_first(mark, nodes) for mark in marks), key=lambda pair: pair[0]
    )
    if nodes[first].argument:
        reached = (nodes[i] for i in _reach(marks, nodes))
        names = (x.argument for x in reached if x.nan == nodes[first].nan)
        return Origin(outputs, tuple(filter(None, names)))
    spoiled = None if spoiling is None else nodes[spoiling].operation
    return Origin(outputs, (), nodes[first].operation, spoiled)


def _first(mark: int, nodes: Sequence[Node]) -> tuple[int, int | None]:
    """Where an output went wrong, and what made a NaN of the infinity, if there."""
    reached = _reach({mark}, nodes)
    nans = [i for i in reached if nodes[i].nan]
    new = [i for i in nans if not any(nodes[j].nan for j in nodes[i].causes)]
    if new and nodes[new[0]].constant:
        return _user(reached, nodes), None
    if not new:
        root = _root(reached, nodes)
        return (_user(reached, nodes) if root is None else root), None
    root = _root(_reach(nodes[new[0]].causes, nodes), nodes)
    return (new[0], None) if root is None else (root, new[0])


def _root(reached: Sequence[int], nodes: Sequence[Node]) -> int | None:
    """The first that was made of nothing but finite numbers; no constant is."""
    roots = (i for i in reached if not nodes[i].causes and not nodes[i].constant)
    return next(roots, None)


def _user(reached: Sequence[int], nodes: Sequence[Node]) -> int:
    """The first that used a constant; the constant itself if nothing did."""
    users = (i for i in reached if any(nodes[j].constant for j in nodes[i].causes))
    return next(users, reached[0])


def _reach(marks: Iterable[int], nodes: Sequence[Node]) -> list[int]:
    """All that some nodes were made of, and they themselves, in order."""
    found: set[int] = set()
    waiting = [*marks]
    while waiting:
        mark = waiting.pop()
        if mark not in found:
            found.add(mark)
            waiting += nodes[mark].causes
    return sorted(found)


def _argument(name: str, value: Any, trail: Trail) -> Marked:
    kind = flaw(value)
    if not kind:
        return value, None
    trail.nodes.append(Node(kind == "nan", argument=name))
    return value, len(trail.nodes) - 1


def _named(function: Callable[..., Any], arguments: tuple) -> list[tuple[str, Any]]:
    """All leaves of the arguments, by the names that the function has for them."""
    bound = inspect.signature(function).bind(*arguments).arguments
    flat = [
        (name, part)
        for name, value in bound.items()
        for part in jax.tree.leaves_with_path(value)
    ]
    return [(_name(path, name), value) for name, (path, value) in flat]


def _name(path: Any, first: str = "") -> str:
    rest = jax.tree_util.keystr(path, simple=True, separator="/")
    return "/".join(filter(None, (first, rest)))
