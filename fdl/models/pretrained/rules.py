"""Conversion rules between published checkpoints and fdl's variables.

A format is a list of rules, and a rule reads in both directions::

    Rule("layer{i}.{j}.conv1.weight", "params/layer{i}_{j}/conv1/kernel", CONV)

A placeholder in braces stands for a number. Text in square brackets is optional when a
checkpoint is read, and is always written.
"""

import functools
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

Numpy = np.ndarray[Any, Any]


class Layout(NamedTuple):
    """Conversion of the memory layout of an array, in both directions.

    Attributes:
      to_ours: Function from the array of a checkpoint to that of a variable.
      to_theirs: Inverse of `to_ours`.
    """

    to_ours: Callable[[Numpy], Numpy]
    to_theirs: Callable[[Numpy], Numpy]


def transposed(*axes: int) -> Layout:
    """Transposition: axis ``i`` of ours is axis ``axes[i]`` in the checkpoint."""
    back = tuple(int(axis) for axis in np.argsort(axes))
    return Layout(lambda x: x.transpose(axes), lambda x: x.transpose(back))


def of_flat_images(channels: int, height: int, width: int) -> Layout:
    """Layout of a dense kernel on flattened images.

    PyTorch flattens images in NCHW, so its kernel is [out, C·H·W]; ours is
    [H·W·C, out].

    Args:
      channels: Number of channels, C.
      height: Height of the images in pixels, H.
      width: Width of the images in pixels, W.
    """

    def to_ours(x):
        x = x.reshape(-1, channels, height, width)
        return x.transpose(2, 3, 1, 0).reshape(-1, x.shape[0])

    def to_theirs(x):
        x = x.reshape(height, width, channels, -1)
        return x.transpose(3, 2, 0, 1).reshape(x.shape[-1], -1)

    return Layout(to_ours, to_theirs)


def reshaped(ours: Sequence[int], theirs: Sequence[int]) -> Layout:
    """Reshaping, where -1 is the size that remains.

    Args:
      ours: Shape of the variable.
      theirs: Shape in the checkpoint.
    """
    return Layout(lambda x: x.reshape(ours), lambda x: x.reshape(theirs))


SAME = Layout(lambda x: x, lambda x: x)
DENSE = transposed(1, 0)  # [out, in] is [in, out].
CONV = transposed(2, 3, 1, 0)  # OIHW is HWIO; also for depthwise and grouped kernels.


class Rule(NamedTuple):
    """Correspondence of an array in a checkpoint and variables.

    Attributes:
      theirs: Template of the name in the checkpoint.
      ours: Template of the path in the variables, which begins with the collection.
        With several, the array holds them in equal parts along `axis`, such as fused
        queries, keys and values. With none, the array is ignored: it is a buffer.
      layout: Conversion of the memory layout of each part.
      axis: Axis of the array in the checkpoint along which the parts are concatenated.
    """

    theirs: str
    ours: str | tuple[str, ...]
    layout: Layout = SAME
    axis: int = 0

    @property
    def paths(self) -> tuple[str, ...]:
        """Templates of all paths in the variables."""
        return (self.ours,) if isinstance(self.ours, str) else self.ours


Rules = Sequence[Rule]


def matches(template: str, name: str) -> dict[str, str] | None:
    """Matches a name with a template.

    Args:
      template: Name with placeholders and optional parts.
      name: Name in a checkpoint, or path in variables.

    Returns:
      Numbers by placeholder, or None where the name does not match.

    Example:
      >>> matches("[model.]layer{stage}.{block}.bias", "layer3.11.bias")
      {'stage': '3', 'block': '11'}
      >>> matches("layer{stage}.bias", "fc.bias")
    """
    match = _pattern(template).fullmatch(name)
    return match.groupdict() if match else None


@functools.cache
def _pattern(template: str) -> re.Pattern[str]:
    # `re.escape` also escapes the brackets and braces of the template, which are then
    # rewritten in their escaped form.
    pattern = re.escape(template).replace(r"\[", "(?:").replace(r"\]", ")?")
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[0-9]+)", pattern))


def any_pattern(templates: Iterable[str]) -> re.Pattern[str]:
    """Pattern of all names that match one of some templates; none without templates."""
    # A group may be named once in a pattern.
    patterns = (re.sub(r"\?P<\w+>", "?:", _pattern(t).pattern) for t in templates)
    return re.compile("|".join(patterns) or r"(?!)")


def fill(template: str, numbers: dict[str, str]) -> str:
    """Fills a template with numbers; inverse of `matches`.

    Args:
      template: Name with placeholders and optional parts, which are included.
      numbers: Numbers by placeholder.

    Example:
      >>> fill("[model.]layer{stage}.bias", {"stage": "3"})
      'model.layer3.bias'
    """
    return template.format(**numbers).replace("[", "").replace("]", "")
