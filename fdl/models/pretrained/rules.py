"""How the arrays of a published checkpoint are named and laid out, and how ours are.

A format is a list of rules, and a rule reads in both directions::

    Rule("layer{i}.{j}.conv1.weight", "params/layer{i}_{j}/conv1/kernel", CONV)

A placeholder in braces stands for a number. What stands in square brackets may be
missing when read, and is written.
"""

import functools
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

Numpy = np.ndarray[Any, Any]


class Layout(NamedTuple):
    """What an array of theirs is in our layout, and back.

    Attributes:
      to_ours: Theirs to ours.
      to_theirs: Ours to theirs; undoes `to_ours`.
    """

    to_ours: Callable[[Numpy], Numpy]
    to_theirs: Callable[[Numpy], Numpy]


def transposed(*axes: int) -> Layout:
    """Axis ``i`` of ours is axis ``axes[i]`` of theirs."""
    back = tuple(int(axis) for axis in np.argsort(axes))
    return Layout(lambda x: x.transpose(axes), lambda x: x.transpose(back))


def of_flat_images(channels: int, height: int, width: int) -> Layout:
    """A dense kernel on flat images: [out, C·H·W] of theirs is [H·W·C, out] of ours."""

    def to_ours(x):
        x = x.reshape(-1, channels, height, width)
        return x.transpose(2, 3, 1, 0).reshape(-1, x.shape[0])

    def to_theirs(x):
        x = x.reshape(height, width, channels, -1)
        return x.transpose(3, 2, 0, 1).reshape(x.shape[-1], -1)

    return Layout(to_ours, to_theirs)


def reshaped(ours: Sequence[int], theirs: Sequence[int]) -> Layout:
    """The same numbers in the same order; -1 stands for the size that is left."""
    return Layout(lambda x: x.reshape(ours), lambda x: x.reshape(theirs))


SAME = Layout(lambda x: x, lambda x: x)
DENSE = transposed(1, 0)  # [out, in] is [in, out].
CONV = transposed(2, 3, 1, 0)  # OIHW is HWIO; also for depthwise and grouped kernels.


class Rule(NamedTuple):
    """Which arrays of theirs are which of ours.

    Attributes:
      theirs: Name in the checkpoint.
      ours: Path in the variables, from the collection on. Several share one array of
        theirs, in equal parts along `axis`. None: it holds nothing that is learned.
      layout: How it is laid out.
      axis: Along which axis of theirs several of ours lie.
    """

    theirs: str
    ours: str | tuple[str, ...]
    layout: Layout = SAME
    axis: int = 0

    @property
    def paths(self) -> tuple[str, ...]:
        """All paths in our variables."""
        return (self.ours,) if isinstance(self.ours, str) else self.ours


Rules = Sequence[Rule]


def matches(template: str, name: str) -> dict[str, str] | None:
    """The numbers that the placeholders stand for, or None where the name differs.

    Example:
      >>> matches("[model.]layer{stage}.{block}.bias", "layer3.11.bias")
      {'stage': '3', 'block': '11'}
      >>> matches("layer{stage}.bias", "fc.bias")
    """
    found = _pattern(template).fullmatch(name)
    return found.groupdict() if found else None


@functools.cache
def _pattern(template: str) -> re.Pattern[str]:
    pattern = re.escape(template).replace(r"\[", "(?:").replace(r"\]", ")?")
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[0-9]+)", pattern))


def fill(template: str, numbers: dict[str, str]) -> str:
    """The name that a template has for these numbers; undoes `matches`.

    Example:
      >>> fill("[model.]layer{stage}.bias", {"stage": "3"})
      'model.layer3.bias'
    """
    return template.format(**numbers).replace("[", "").replace("]", "")
