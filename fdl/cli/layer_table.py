"""A table of the layers of a module, in which equal ones stand together."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from rich.table import Table

from fdl.cli.layers import Layer


class Row(NamedTuple):
    """A line of the table: a layer, or several that are equal but for their names.

    Attributes:
      depth: In how many layers it is.
      name: Of the layer, or of all.
      layer: The layer, or the first.
      times: How many there are.
    """

    depth: int
    name: str
    layer: Layer
    times: int


def table(rows: Sequence[Row]) -> Table:
    """Shapes, parameters and operations; of equal layers, those of one."""
    made = Table()
    for name in ("layer", "kind", "output"):
        made.add_column(name, overflow="fold")
    for name in ("parameters", "FLOPs"):
        made.add_column(name, justify="right", overflow="fold")
    for row in rows:
        times = f"{row.times} x " if row.times > 1 else ""
        counts = (row.layer.parameters, row.layer.flops)
        made.add_row(
            "  " * row.depth + row.name,
            row.layer.kind,
            row.layer.output,
            *(f"{times}{count:,}" if count else "" for count in counts),
        )
    return made


def rows(layer: Layer, depth: int) -> list[Row]:
    """A layer and all that it has inside, down to a depth."""
    return _rows([layer], 0, depth)


def depth_of(layer: Layer, most: int) -> int:
    """How deep a table can go that has no more than so many rows."""
    depth = 1
    while len(rows(layer, depth)) < len(rows(layer, depth + 1)) <= most:
        depth += 1
    return depth


def _rows(layers: Sequence[Layer], level: int, depth: int) -> list[Row]:
    found = []
    for _, group in itertools.groupby(layers, lambda layer: layer._replace(name="")):
        equal = [*group]
        names = [layer.name for layer in equal]
        name = ", ".join(names) if len(names) < 5 else f"{names[0]} .. {names[-1]}"
        found.append(Row(level, name, equal[0], len(equal)))
        if level < depth:
            found += _rows(equal[0].inside, level + 1, depth)
    return found
