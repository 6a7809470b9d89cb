"""Answers, written down: as CSV or JSON lines."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

Row = Mapping[str, Any]


def prediction_rows(
    answers: Mapping[str, np.ndarray], names: Sequence[str], classes: Sequence[str] = ()
) -> Iterator[Row]:
    """One row for each example: its name, and its answers.

    Args:
      answers: Each [N, ...].
      names: Of the examples.
      classes: Names of the classes: in place of the numbers of ``class``, and of the
        places of what has one number for each.

    Example:
      >>> answers = {"class": np.array([1]), "probability": np.array([[0.25, 0.75]])}
      >>> next(prediction_rows(answers, ["a.png"], ["cat", "dog"]))["probability"]
      {'cat': 0.25, 'dog': 0.75}
    """
    for i, name in enumerate(names):
        row: dict[str, Any] = {"example": name}
        for key, values in answers.items():
            row[key] = _value(key, values[i], classes)
        yield row


def as_json(found: Iterator[Row]) -> str:
    """One JSON object a line."""
    return "".join(json.dumps(row) + "\n" for row in found)


def as_csv(found: Iterator[Row]) -> str:
    """A table with a header; what has several numbers has a column for each."""
    flat = [_flat(row) for row in found]
    text = io.StringIO()
    writer = csv.DictWriter(text, [*flat[0]] if flat else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue()


def _value(key: str, value: np.ndarray, classes: Sequence[str]) -> Any:
    if key == "class" and classes:
        return classes[int(value)]
    shown = _short(value)
    if value.ndim == 1 and len(classes) == len(value):
        return dict(zip(classes, shown, strict=True))
    return shown


def _short(value: np.ndarray) -> Any:
    """Numbers in as many digits as it takes to read them back."""
    if value.ndim:
        return [_short(part) for part in value]
    if np.issubdtype(value.dtype, np.floating):
        return float(str(np.float32(value)))
    return value.item()


def _flat(row: Row) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, list):
            value = {str(i): x for i, x in enumerate(value)}
        if isinstance(value, Mapping):
            found |= _flat({f"{key}_{name}": x for name, x in value.items()})
        else:
            found[key] = value
    return found
