"""Source lines of the operations in a traced program."""

import pathlib
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from jax.extend import source_info_util

PACKAGE = pathlib.Path(__file__).parents[2]
LIBRARIES = {"site-packages", "dist-packages"}
MAX_FRAMES = 1000
FRAME = re.compile(r"(?P<file>.*?):(?P<line>\d+)(:\d+)? \((?P<function>.*)\)")


class Frame(NamedTuple):
    """Stack frame at the time of tracing.

    Attributes:
      file: Path of the source file.
      line: Number of the line, from 1.
      function: Qualified name of the function.
    """

    file: str
    line: int
    function: str

    @property
    def is_library(self) -> bool:
        """True for an installed library other than fdl."""
        path = pathlib.Path(self.file)
        # fdl may itself be installed into site-packages.
        return not path.is_relative_to(PACKAGE) and bool(LIBRARIES & {*path.parts})


def frames(equations: Sequence[Any]) -> tuple[Frame, ...]:
    """Stack frames that led to an equation, outermost first, without those of jax.

    Args:
      equations: Equations of jaxprs; each lies inside the one before it, and its stack
        begins where that of the outer one ends.
    """
    # `summarize` formats a stack as text. It is the public part of jax that does, and
    # leaves out frames of jax itself; its default is to show one frame.
    summaries = (
        source_info_util.summarize(equation.source_info, num_frames=MAX_FRAMES)
        for equation in equations
    )
    lines = (line for summary in summaries for line in summary.splitlines())
    return tuple(
        Frame(match["file"], int(match["line"]), match["function"])
        for match in map(FRAME.fullmatch, lines)
        if match
    )
