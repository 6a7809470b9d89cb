"""From rows of a table to arrays, by what was learned of the training part."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fdl.data.tabular.column_stats import (
    MISSING,
    Category,
    Column,
    Number,
    Row,
    categories_of,
    numbers_of,
)
from fdl.errors import UserError, near


class Encoding(NamedTuple):
    """How rows become features, and classes numbers: plain values, easy to store.

    Attributes:
      columns: What was learned of each column, in the order of the features.
      target: Name of the column to predict.
      classes: Its classes, of which the label is the place; none if it is a number.
      one_hot: Whether categories become features of 0 and 1; or else integer codes.
      standardize: Whether numbers are shifted and scaled; or else stay as they are.
      missing: Texts that stand for a missing value.
    """

    columns: tuple[Column, ...]
    target: str
    classes: tuple[str, ...] = ()
    one_hot: bool = True
    standardize: bool = True
    missing: tuple[str, ...] = MISSING

    @property
    def features(self) -> tuple[str, ...]:
        """A name for each feature: ``age``, ``town=Rome``, ``age is missing``."""
        return tuple(name for column in self.columns for name in self._names(column))

    def encode(self, rows: Sequence[Row]) -> dict[str, np.ndarray]:
        """Makes arrays of rows, which need not have the target.

        Numbers are standardised, and missing ones become the mean of the training
        part. Categories that it did not have become zeros, or the code 0; missing ones
        its most frequent category.

        Args:
          rows: Dicts by name of the column: of text, as a CSV file has it, of numbers,
            or of None where something is missing.

        Returns:
          ``features``, float32 [N, F]; and ``categories``, int32 [N, K], from 1 on in
          the order of `Category.values`, if they are integer codes.

        Raises:
          UserError: A column is missing, or has a text where a number belongs.
        """
        check_columns(rows, [column.name for column in self.columns])
        features, codes = [np.empty((len(rows), 0))], [np.empty((len(rows), 0))]
        for column in self.columns:
            if isinstance(column, Number):
                features += self._numbers(column, rows)
                continue
            code, more = self._codes(column, rows)
            (features if self.one_hot else codes).append(code)
            features += more
        arrays = {"features": np.concatenate(features, axis=1).astype(np.float32)}
        if not self.one_hot:
            arrays["categories"] = np.concatenate(codes, axis=1).astype(np.int32)
        return arrays

    def labels(self, rows: Sequence[Row]) -> dict[str, np.ndarray]:
        """What is to be predicted of rows.

        Returns:
          ``label``, class indices int32 [N]; or ``target``, float32 [N].

        Raises:
          UserError: It is missing in a row, or is no class and no number.
        """
        check_columns(rows, [self.target])
        texts = categories_of(rows, self.target, self.missing)
        for place, text in enumerate(texts, start=1):
            if text is None:
                raise UserError(f"row {place} has no {self.target!r}, the target.")
            if self.classes and text not in self.classes:
                raise UserError(
                    f"row {place}, column {self.target!r}: there is no class {text!r}. "
                    f"{near(text, self.classes)}"
                )
        if self.classes:
            places = {name: i for i, name in enumerate(self.classes)}
            return {"label": np.array([places[str(text)] for text in texts], np.int32)}
        found = numbers_of(rows, self.target, self.missing)
        return {"target": np.array(found, np.float32)}

    def to_dict(self) -> dict[str, Any]:
        """Dicts, lists and plain values, which JSON can hold."""
        return {**self._asdict(), "columns": [c._asdict() for c in self.columns]}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Encoding":
        """What `to_dict` made, even if JSON has made lists of its tuples."""
        columns = [
            Number(**column) if "mean" in column else Category(**_tuples(column))
            for column in content["columns"]
        ]
        return cls(**{**_tuples(content), "columns": tuple(columns)})

    def _names(self, column: Column) -> list[str]:
        names = [] if isinstance(column, Category) else [column.name]
        if isinstance(column, Category) and self.one_hot:
            names = [f"{column.name}={value}" for value in column.values]
        return names + [f"{column.name} is missing"] * column.indicator

    def _numbers(self, column: Number, rows: Sequence[Row]) -> list[np.ndarray]:
        found = np.array(numbers_of(rows, column.name, self.missing), np.float64)
        missing = np.isnan(found)
        filled = np.where(missing, column.mean, found)
        if self.standardize:
            filled = (filled - column.mean) / column.std
        return [filled[:, None], *([missing[:, None]] if column.indicator else [])]

    def _codes(self, column: Category, rows: Sequence[Row]):
        found = categories_of(rows, column.name, self.missing)
        places = {value: i for i, value in enumerate(column.values, start=1)}
        filled = [column.fill if text is None else text for text in found]
        code = np.array([places.get(text, 0) for text in filled])[:, None]
        if self.one_hot:
            code = code == np.arange(1, len(column.values) + 1)
        missing = np.array([text is None for text in found])[:, None]
        return code, [missing] if column.indicator else []


def check_columns(rows: Sequence[Row], names: Sequence[str]) -> None:
    """Raises `UserError` if a row lacks one of the columns."""
    for place, row in enumerate(rows, start=1):
        for name in names:
            if name not in row:
                raise UserError(
                    f"There is no column {name!r} in row {place}. {near(name, row)}"
                )


def _tuples(content: Mapping[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in content.items()}
