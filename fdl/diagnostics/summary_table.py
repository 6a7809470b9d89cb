"""Table of a model summary, in which equal adjacent layers share a row."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from rich.table import Table

from fdl.diagnostics.summary import Layer


class Row(NamedTuple):
    """Row of the table: a layer, or several that are equal but for their names.

    Attributes:
      depth: Depth of nesting; 0 for the model itself.
      name: Names of the layers.
      layer: The first of the layers.
      num_layers: Number of the layers.
    """

    depth: int
    name: str
    layer: Layer
    num_layers: int


def table(rows: Sequence[Row]) -> Table:
    """Table of output shapes, parameters and FLOPs; of equal layers, those of one."""
    result = Table()
    for name in ("layer", "kind", "output"):
        result.add_column(name, overflow="fold")
    for name in ("parameters", "FLOPs"):
        result.add_column(name, justify="right", overflow="fold")
    for row in rows:
        times = f"{row.num_layers} x " if row.num_layers > 1 else ""
        numbers = (row.layer.parameters, row.layer.flops)
        result.add_row(
            "  " * row.depth + row.name,
            row.layer.kind,
            row.layer.output,
            *(f"{times}{number:,}" if number else "" for number in numbers),
        )
    return result


def rows(layer: Layer, depth: int) -> list[Row]:
    """Rows of a layer and of its submodules, down to a depth."""
    return _rows([layer], 0, depth)


def max_depth(layer: Layer, max_rows: int) -> int:
    """Largest depth at which the table has at most `max_rows` rows; at least 1."""
    depth = 1
    while len(rows(layer, depth)) < len(rows(layer, depth + 1)) <= max_rows:
        depth += 1
    return depth


def _rows(layers: Sequence[Layer], level: int, depth: int) -> list[Row]:
    table_rows = []
    # Layers are compared with all their submodules, names of those included.
    for _, group in itertools.groupby(layers, lambda layer: layer._replace(name="")):
        equal = [*group]
        names = [layer.name for layer in equal]
        name = ", ".join(names) if len(names) < 5 else f"{names[0]} .. {names[-1]}"
        table_rows.append(Row(level, name, equal[0], len(equal)))
        if level < depth:
            table_rows += _rows(equal[0].submodules, level + 1, depth)
    return table_rows
