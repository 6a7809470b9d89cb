"""Explanation of the origin of NaN or infinity, as lines of text."""

import linecache
import os
import pathlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from fdl.diagnostics.nan_trace.report import ArraySummary, nonfinite_kind
from fdl.diagnostics.nan_trace.trace import Origin
from fdl.diagnostics.nan_trace.traceback import Frame
from fdl.trees import named_leaves

CONTEXT_LINES = 1  # Lines of source to show before and after the operation's.
MAX_EXAMPLES = 5  # Examples to name.
TRANSFORMATION = re.compile(r"\w+\(([^()]*)\)")


def headline(origin: Origin) -> str:
    """One line on the first operation with a non-finite result."""
    operation = origin.operation
    if operation is None:
        return "a constant of the program is not finite"
    kind = f"{operation.result.value:g}".replace("nan", "NaN")
    # Operands of an origin are finite, but for constants such as the -inf of a mask.
    has_constant = any(operand.num_nonfinite for operand in operation.operands)
    operands = "an infinity of the program's own" if has_constant else "finite numbers"
    direction, location = _direction(origin), _at(operation.frames)
    return f"{operation.primitive} made {kind} of {operands}{direction}{location}"


def details(origin: Origin, path: pathlib.Path) -> Iterator[str]:
    """Lines on the operands, result, module and source of that operation.

    Args:
      origin: Origin, as from `trace_nonfinite`.
      path: The experiment file.
    """
    operation = origin.operation
    if operation is None:
        return
    metrics = sorted({name.partition("/")[0] for name in origin.outputs})
    result = f"{_array_text(operation.result)}; first at {list(operation.position)}"
    rows = [
        ("not finite", ", ".join(metrics)),
        ("module", module_path(operation.scope)),
        ("iteration", ", in ".join(reversed(operation.loops))),
        *((f"operand {i}", _array_text(x)) for i, x in enumerate(operation.operands)),
        ("result", result),
        *(
            ("by way of", _location(frame))
            for frame in _other_frames(operation.frames, path)
        ),
    ]
    if origin.nan_operation is not None:
        location = _at(origin.nan_operation.frames)
        rows.append(
            ("then", f"{origin.nan_operation.primitive} made NaN of it{location}")
        )
    for label, text in rows:
        if text:
            yield f"  {label:12}{text}"
    yield from _source_lines(operation.frames)


def describe_argument(name: str, state: Any, data: Any, item: Any) -> str:
    """One line on a non-finite argument of a step, and on its non-finite examples.

    Args:
      name: Name of the argument and path of the leaf, as in `Origin.arguments`; the
        arguments are ``state``, ``data`` and ``item``.
      state: State of the learner before the step.
      data: Data of the batches.
      item: Item of the step's batch.
    """
    argument, _, path = name.partition("/")
    if argument == "state":
        return f"{path} of the state was not finite before this step"
    index = _leaf(item, "index")
    if argument == "data" and index is not None:
        array = np.asarray(_leaf(data, path))
        # The batch is a vector of indices where examples are rows of the data; other
        # learners may have an index of another kind.
        if index.ndim == 1 and (nonfinite := _nonfinite_rows(array[index])).any():
            examples = np.unique(index[nonfinite]).tolist()
            return (
                f"{path} is not finite in {_enumerate('example', examples)} of the data"
            )
    if argument == "item":
        rows = np.flatnonzero(_nonfinite_rows(_leaf(item, path))).tolist()
        return f"{path} is not finite in {_enumerate('example', rows)} of this batch"
    return f"{path} is not finite in the data"


def module_path(scope: str) -> str:
    """Path of the flax modules in the name stack of an operation.

    Example:
      >>> module_path("transpose(jvp(CNN))/dense_0/jvp()")
      'CNN/dense_0'
    """
    # The pattern matches innermost parentheses only: nested ones take several rounds.
    previous = ""
    while scope != previous:
        previous, scope = scope, TRANSFORMATION.sub(r"\1", scope)
    return "/".join(filter(None, scope.split("/")))


def _direction(origin: Origin) -> str:
    """Direction of the operation: forward or backward; empty without a gradient."""
    scope = origin.operation.scope if origin.operation else ""
    if "jvp(" not in scope:
        return ""
    # The forward pass also computes residuals of the backward pass, such as the 1 / x
    # of log(x). They have no "transpose(" in their scope, but leave the loss finite.
    is_backward = "transpose(" in scope or not any(
        name.startswith("loss") for name in origin.outputs
    )
    return ", backward" if is_backward else ", forward"


def _at(frames: Sequence[Frame]) -> str:
    frame = _innermost_frame(frames)
    return f", at {_location(frame)}" if frame else ""


def _innermost_frame(frames: Sequence[Frame]) -> Frame | None:
    """Innermost frame of fdl or user code; of a library if there is no such frame."""
    candidates = [frame for frame in frames if not frame.is_library] or [*frames]
    return candidates[-1] if candidates else None


def _other_frames(frames: Sequence[Frame], path: pathlib.Path) -> Iterator[Frame]:
    """Innermost frames of all code and of the experiment, if not named already."""
    of_experiment = [frame for frame in frames if pathlib.Path(frame.file) == path]
    for frame in (*frames[-1:], *of_experiment[-1:]):
        if frame != _innermost_frame(frames):
            yield frame


def _location(frame: Frame) -> str:
    relative = os.path.relpath(frame.file)
    file = frame.file if relative.startswith("..") else relative
    return f"{file}:{frame.line} ({frame.function})"


def _source_lines(frames: Sequence[Frame]) -> Iterator[str]:
    """Source around the line of the operation, which is marked."""
    frame = _innermost_frame(frames)
    if frame is None:
        return
    for number in range(frame.line - CONTEXT_LINES, frame.line + CONTEXT_LINES + 1):
        text = linecache.getline(frame.file, number).rstrip()
        if text:
            yield f"{'>' if number == frame.line else ' '} {number:5}  {text}"


def _array_text(array: ArraySummary) -> str:
    parts = [array.type]
    if array.minimum is not None:
        parts.append(f"from {array.minimum:.4g} to {array.maximum:.4g}")
    if array.num_nonfinite:
        parts.append(f"{array.num_nonfinite} of {array.size} not finite")
    if array.value is not None and array.size > 1:
        parts.append(f"there {array.value:.4g}")
    return ", ".join(parts)


def _leaf(tree: Any, name: str) -> Any:
    """Leaf of a name, on the host; None if there is none."""
    leaves = named_leaves(tree)
    return np.asarray(leaves[name]) if name in leaves else None


def _nonfinite_rows(array: np.ndarray) -> np.ndarray:
    return np.array([bool(nonfinite_kind(row)) for row in array], bool)


def _enumerate(noun: str, numbers: Sequence[int]) -> str:
    names = ", ".join(map(str, numbers[:MAX_EXAMPLES]))
    num_more = len(numbers) - MAX_EXAMPLES
    more = f" and {num_more} more" if num_more > 0 else ""
    return f"{noun}{'s' if len(numbers) > 1 else ''} {names}{more}"
