"""The origin of what is not finite, in words."""

import linecache
import os
import pathlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from fdl.tools import Frame, Origin, Values, flaw
from fdl.train.blackbox import named

AROUND = 1  # Lines of source to show before and after the one in question.
SHOWN = 5  # Examples to name, at most.
TRANSFORMED = re.compile(r"\w+\(([^()]*)\)")


def headline(origin: Origin) -> str:
    """What happened first, in one line."""
    made = origin.operation
    if made is None:
        return "a constant of the program is not finite"
    kind = f"{made.result.sample:g}".replace("nan", "NaN")
    meant = any(operand.bad for operand in made.operands)
    what = "an infinity of the program's own" if meant else "finite numbers"
    return f"{made.primitive} made {kind} of {what}{_way(origin)}{_at(made.frames)}"


def details(origin: Origin, path: pathlib.Path) -> Iterator[str]:
    """What there is to say of that operation, line by line."""
    made = origin.operation
    if made is None:
        return
    metrics = sorted({name.partition("/")[0] for name in origin.outputs})
    rows = [
        ("not finite", ", ".join(metrics)),
        ("module", module(made.scope)),
        ("iteration", ", in ".join(reversed(made.loops))),
        *((f"operand {i}", _values(x)) for i, x in enumerate(made.operands)),
        ("result", f"{_values(made.result)}; first at {list(made.place)}"),
        *(("by way of", _place(frame)) for frame in _more(made.frames, path)),
    ]
    if origin.spoiled is not None:
        where = _at(origin.spoiled.frames)
        rows.append(("then", f"{origin.spoiled.primitive} made NaN of it{where}"))
    for name, text in rows:
        if text:
            yield f"  {name:12}{text}"
    yield from _source(made.frames)


def of_argument(name: str, state: Any, data: Any, item: Any) -> str:
    """Says which argument of a step was not finite, and at which examples."""
    whole, _, path = name.partition("/")
    if whole == "state":
        return f"{path} of the state was not finite before this step"
    index = _leaf(item, "index")
    if whole == "data" and index is not None:
        array = np.asarray(_leaf(data, path))
        if index.ndim == 1 and (bad := _bad_rows(array[index])).any():
            examples = np.unique(index[bad]).tolist()
            return f"{path} is not finite in {_listed('example', examples)} of the data"
    if whole == "item":
        rows = np.flatnonzero(_bad_rows(_leaf(item, path))).tolist()
        return f"{path} is not finite in {_listed('example', rows)} of this batch"
    return f"{path} is not finite in the data"


def module(scope: str) -> str:
    """The modules in the names around an operation.

    Example:
      >>> module("transpose(jvp(CNN))/dense_0/jvp()")
      'CNN/dense_0'
    """
    before = ""
    while scope != before:
        before, scope = scope, TRANSFORMED.sub(r"\1", scope)
    return "/".join(filter(None, scope.split("/")))


def _way(origin: Origin) -> str:
    """Whether it happened on the way to the loss, or back from it."""
    scope = origin.operation.scope if origin.operation else ""
    if "jvp(" not in scope:
        return ""
    # A derivative is prepared on the way forward: the loss knows nothing of it.
    back = "transpose(" in scope or not any(
        n.startswith("loss") for n in origin.outputs
    )
    return ", backward" if back else ", forward"


def _at(frames: Sequence[Frame]) -> str:
    frame = _own(frames)
    return f", at {_place(frame)}" if frame else ""


def _own(frames: Sequence[Frame]) -> Frame | None:
    """The innermost line of fdl or its user; or else of a library."""
    own = [frame for frame in frames if frame.own] or [*frames]
    return own[-1] if own else None


def _more(frames: Sequence[Frame], path: pathlib.Path) -> Iterator[Frame]:
    """The innermost lines of a library and of the experiment, if they are others."""
    theirs = [frame for frame in frames if pathlib.Path(frame.file) == path]
    for frame in (*frames[-1:], *theirs[-1:]):
        if frame != _own(frames):
            yield frame


def _place(frame: Frame) -> str:
    here = os.path.relpath(frame.file)
    file = frame.file if here.startswith("..") else here
    return f"{file}:{frame.line} ({frame.function})"


def _source(frames: Sequence[Frame]) -> Iterator[str]:
    """The lines around the one in question."""
    frame = _own(frames)
    if frame is None:
        return
    for number in range(frame.line - AROUND, frame.line + AROUND + 1):
        text = linecache.getline(frame.file, number).rstrip()
        if text:
            yield f"{'>' if number == frame.line else ' '} {number:5}  {text}"


def _values(values: Values) -> str:
    parts = [values.type]
    if values.least is not None:
        parts.append(f"from {values.least:.4g} to {values.greatest:.4g}")
    if values.bad:
        parts.append(f"{values.bad} of {values.size} not finite")
    if values.sample is not None and values.size > 1:
        parts.append(f"there {values.sample:.4g}")
    return ", ".join(parts)


def _leaf(tree: Any, name: str) -> Any:
    """The leaf of that name, on the host; None if there is none."""
    leaves = named(tree)
    return np.asarray(leaves[name]) if name in leaves else None


def _bad_rows(array: np.ndarray) -> np.ndarray:
    return np.array([bool(flaw(row)) for row in array], bool)


def _listed(noun: str, numbers: Sequence[int]) -> str:
    names = ", ".join(map(str, numbers[:SHOWN]))
    more = f" and {len(numbers) - SHOWN} more" if len(numbers) > SHOWN else ""
    return f"{noun}{'s' if len(numbers) > 1 else ''} {names}{more}"
