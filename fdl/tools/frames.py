"""Where in the source an operation of a traced program was written down."""

import pathlib
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from jax.extend import source_info_util

HERE = pathlib.Path(__file__).parents[1]
LIBRARIES = {"site-packages", "dist-packages"}
DEPTH = 1000  # Frames of a stack, at most.
FRAME = re.compile(r"(?P<file>.*?):(?P<line>\d+)(:\d+)? \((?P<function>.*)\)")


class Frame(NamedTuple):
    """A line that was being run while a program was traced."""

    file: str
    line: int
    function: str

    @property
    def own(self) -> bool:
        """Whether it is of fdl or of its user, and not of an installed library."""
        path = pathlib.Path(self.file)
        return path.is_relative_to(HERE) or not LIBRARIES & {*path.parts}


def frames(equations: Sequence[Any]) -> tuple[Frame, ...]:
    """The lines that led to an equation, from the outermost on; those of jax left out.

    Args:
      equations: Of a jaxpr; each lies inside of the one before it, and begins where
        that one ends.
    """
    texts = (
        source_info_util.summarize(equation.source_info, num_frames=DEPTH)
        for equation in equations
    )
    lines = (line for text in texts for line in text.splitlines())
    return tuple(
        Frame(match["file"], int(match["line"]), match["function"])
        for match in map(FRAME.fullmatch, lines)
        if match
    )
