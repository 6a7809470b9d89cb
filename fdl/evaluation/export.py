"""Predictions as CSV or JSON lines."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from fdl.types import NOTHING

Row = Mapping[str, Any]


def prediction_rows(
    predictions: Mapping[str, np.ndarray],
    names: Sequence[str],
    elements: Mapping[str, Sequence[str]] = NOTHING,
) -> Iterator[Row]:
    """Rows of predictions, one for each example.

    Args:
      predictions: Predictions by name, each [N, ...].
      names: Names of the examples.
      elements: Names of the elements of a prediction, such as classes, by its name;
        see `Ability.outputs`. They replace integers, and label the elements of vectors.

    Yields:
      The name of an example as ``example``, and its predictions by name.

    Example:
      >>> outputs = {"class": np.array([1]), "probability": np.array([[0.25, 0.75]])}
      >>> classes = dict.fromkeys(outputs, ["cat", "dog"])
      >>> next(prediction_rows(outputs, ["a.png"], classes))
      {'example': 'a.png', 'class': 'dog', 'probability': {'cat': 0.25, 'dog': 0.75}}
    """
    for i, name in enumerate(names):
        row: dict[str, Any] = {"example": name}
        for key, values in predictions.items():
            row[key] = _cell(values[i], elements.get(key, ()))
        yield row


def as_json(rows: Iterator[Row]) -> str:
    """JSON lines: one object for each row."""
    return "".join(json.dumps(row) + "\n" for row in rows)


def as_csv(rows: Iterator[Row]) -> str:
    """CSV with a header; vectors and mappings have a column for each element."""
    flat_rows = [_flatten(row) for row in rows]
    text = io.StringIO()
    columns = [*flat_rows[0]] if flat_rows else []
    # RFC 4180 has "\r\n"; a bare newline suits the tools of Unix.
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat_rows)
    return text.getvalue()


def _cell(value: np.ndarray, names: Sequence[str]) -> Any:
    """Value of a row: plain Python objects, with names of elements if there are any."""
    if names and np.issubdtype(value.dtype, np.integer):
        return np.array(names)[value].tolist()
    if names and value.ndim == 1:
        return dict(zip(names, _to_python(value), strict=True))
    return _to_python(value)


def _to_python(value: np.ndarray) -> Any:
    """Nested lists of Python numbers, None for NaN."""
    if value.ndim:
        return [_to_python(part) for part in value]
    # Through the shortest text that float32 reads back: 0.1 instead of
    # 0.10000000149011612.
    if np.issubdtype(value.dtype, np.floating):
        # JSON has no NaN, and a cell of it is empty: the number is missing.
        return None if np.isnan(value) else float(str(np.float32(value)))
    return value.item()


def _flatten(row: Row) -> dict[str, Any]:
    """Row without nesting, with names joined by underscores."""
    flat: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, list):
            value = {str(i): x for i, x in enumerate(value)}
        if isinstance(value, Mapping):
            flat |= _flatten({f"{key}_{name}": x for name, x in value.items()})
        else:
            flat[key] = value
    return flat
