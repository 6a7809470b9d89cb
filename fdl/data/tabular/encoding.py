"""Encoding of the rows of a table as arrays."""

import collections
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from fdl.data.npz_files import as_dtype
from fdl.data.statistics import is_finite
from fdl.data.tabular.column_stats import (
    MISSING,
    Category,
    Column,
    Number,
    Row,
    categories_of,
    is_number,
    numbers_of,
)
from fdl.errors import UserError, near


class Encoding(NamedTuple):
    """Fitted encoding of rows as features, and of classes as labels.

    It consists of plain values, so that it can be stored as JSON.

    Attributes:
      columns: Fitted columns, in the order of the features.
      target: Name of the column to predict.
      classes: Classes of the target, in the order of the labels; empty if the target is
        a number.
      one_hot: True if categories become one-hot features; False for integer codes.
      standardize: True if numbers are standardised; False if they stay as they are.
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
        """Names of the features: ``age``, ``town=Rome``, ``age is missing``."""
        return tuple(name for column in self.columns for name in self._names(column))

    @property
    def inputs(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shape and dtype of the arrays of one encoded row, by name."""
        return {
            name: jax.ShapeDtypeStruct(array.shape[1:], array.dtype)
            for name, array in self.encode([]).items()
        }

    def encode(self, rows: Sequence[Row]) -> dict[str, np.ndarray]:
        """Encodes rows, with or without the target, as arrays.

        Missing numbers become the mean of the training part, missing categories its
        most frequent one. Categories that it lacks become zeros, or the code 0, and
        `unseen` tells of them. A category that is a number is found in any spelling:
        ``2.0`` is the category ``2``.

        Args:
          rows: Dicts by name of the column: text as in a CSV file, numbers, or None
            where a value is missing.

        Returns:
          ``features``, float32 [N, F]; and, if categories are integer codes,
          ``categories``, int32 [N, K], from 1 on in the order of `Category.values`.

        Raises:
          UserError: A column is missing, or has a text in place of a number, or one
            beyond float32.
        """
        check_columns(rows, [column.name for column in self.columns])
        # Arrays of no columns, because `concatenate` needs at least one.
        features, codes = [np.empty((len(rows), 0))], [np.empty((len(rows), 0))]
        for column in self.columns:
            if isinstance(column, Number):
                features += self._numbers(column, rows)
                continue
            encoded, indicator = self._codes(column, rows)
            (features if self.one_hot else codes).append(encoded)
            features += indicator
        float32 = np.dtype("float32")
        together = np.concatenate(features, axis=1)
        names = self.features
        arrays = {"features": as_dtype(together, float32, "features", columns=names)}
        if not self.one_hot:
            arrays["categories"] = np.concatenate(codes, axis=1).astype(np.int32)
        return arrays

    def labels(self, rows: Sequence[Row]) -> dict[str, np.ndarray]:
        """Labels or targets of rows.

        Args:
          rows: Dicts by name of the column.

        Returns:
          ``label``, class indices int32 [N]; or ``target``, float32 [N].

        Raises:
          UserError: A value is missing, or is neither a known class nor a number.
        """
        check_columns(rows, [self.target])
        texts = categories_of(rows, self.target, self.missing)
        find = _finder(self.classes)
        for i, text in enumerate(texts, start=1):
            if text is None:
                raise UserError(
                    f"row {i}, column {self.target!r}: expected a value of the target"
                )
            if self.classes and find(text) is None:
                raise UserError(
                    f"row {i}, column {self.target!r}: expected a known class, got "
                    f"{text!r}. {near(text, self.classes)}"
                )
        if self.classes:
            labels = [find(str(text)) for text in texts]
            return {"label": np.array(labels, np.int32)}
        targets = numbers_of(rows, self.target, self.missing)
        return {"target": np.array(targets, np.float32)}

    def unseen(self, rows: Sequence[Row]) -> list[str]:
        """Remarks on values of rows that the training part lacks, one for each column.

        Args:
          rows: Rows as of `encode`, which replaces these values.

        Example:
          >>> town = Category("town", ("Oslo", "Rome"), "Oslo", indicator=True)
          >>> Encoding((town,), "y").unseen([{"town": "Rom"}, {"town": None}])
          ["column 'town': unknown category in 1 of 2 rows, taken as zeros: 'Rom'"]
        """
        remarks = []
        for column in self.columns:
            texts = categories_of(rows, column.name, self.missing)
            present = [text for text in texts if text is not None]
            if isinstance(column, Category):
                find = _finder(column.values)
                unknown = collections.Counter(x for x in present if find(x) is None)
                if unknown:
                    common = unknown.most_common(5)
                    names = ", ".join(f"{name!r:.50}" for name, _ in common)
                    remarks.append(
                        f"column {column.name!r}: unknown category in "
                        f"{unknown.total()} of {len(rows)} rows, taken as zeros: "
                        f"{names}{', ...' if len(unknown) > len(common) else ''}"
                    )
            if len(present) < len(texts) and not column.indicator:
                fill = (
                    f"the mean {column.mean:.6g}"
                    if isinstance(column, Number)
                    else repr(column.fill)
                )
                remarks.append(
                    f"column {column.name!r}: missing in {len(texts) - len(present)} "
                    f"of {len(rows)} rows, as never in training, taken as {fill}"
                )
        return remarks

    def to_dict(self) -> dict[str, Any]:
        """Converts the encoding to dicts, lists and plain values, as for JSON."""
        return {**self._asdict(), "columns": [c._asdict() for c in self.columns]}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Encoding":
        """Restores an encoding from `to_dict`, also if JSON made lists of tuples.

        Raises:
          UserError: The content is not of an encoding.
        """
        try:
            columns = [
                # Only numeric columns have a mean.
                Number(**column) if "mean" in column else Category(**_tuples(column))
                for column in content["columns"]
            ]
            encoding = cls(**{**_tuples(content), "columns": tuple(columns)})
            valid = encoding._is_valid()
        except (KeyError, TypeError, AttributeError):
            valid = False
        if not valid:
            raise UserError("encoding: expected the content of `Encoding.to_dict`")
        return encoding

    def _is_valid(self) -> bool:
        """True if all values have the types that are declared."""
        numbers = [column for column in self.columns if isinstance(column, Number)]
        categories = [column for column in self.columns if isinstance(column, Category)]
        texts = [self.target, *(column.name for column in self.columns)]
        texts += [column.fill for column in categories]
        tuples = [self.classes, self.missing, *(c.values for c in categories)]
        flags = [self.one_hot, self.standardize, *(c.indicator for c in self.columns)]
        texts += itertools.chain.from_iterable(tuples)
        return (
            all(isinstance(values, tuple) for values in tuples)
            and all(isinstance(text, str) for text in texts)
            and all(isinstance(flag, bool) for flag in flags)
            and all(
                is_finite(n.mean) and is_finite(n.std) and n.std > 0 for n in numbers
            )
        )

    def _names(self, column: Column) -> list[str]:
        """Names of the features of a column."""
        names = [] if isinstance(column, Category) else [column.name]
        if isinstance(column, Category) and self.one_hot:
            names = [f"{column.name}={value}" for value in column.values]
        return names + [f"{column.name} is missing"] * column.indicator

    def _numbers(self, column: Number, rows: Sequence[Row]) -> list[np.ndarray]:
        """Features [N, 1] of a numeric column: the numbers, and an indicator if any."""
        numbers = np.array(numbers_of(rows, column.name, self.missing), np.float64)
        missing = np.isnan(numbers)
        filled = np.where(missing, column.mean, numbers)
        if self.standardize:
            filled = (filled - column.mean) / column.std
        return [filled[:, None], *([missing[:, None]] if column.indicator else [])]

    def _codes(self, column: Category, rows: Sequence[Row]):
        """One-hot features or codes of a categorical column, and any indicator."""
        texts = categories_of(rows, column.name, self.missing)
        # The code 0 is for unknown categories; it equals none below, so that their
        # one-hot features are all 0.
        find = _finder(("", *column.values))
        filled = [column.fill if text is None else text for text in texts]
        code = np.array([find(text) or 0 for text in filled])[:, None]
        if self.one_hot:
            code = code == np.arange(1, len(column.values) + 1)
        missing = np.array([text is None for text in texts])[:, None]
        return code, [missing] if column.indicator else []


def check_columns(rows: Sequence[Row], names: Sequence[str]) -> None:
    """Raises `UserError` if a row lacks one of the columns."""
    for i, row in enumerate(rows, start=1):
        for name in names:
            if name not in row:
                # A column that is expected itself is not meant by another name.
                others = [str(other) for other in row if other not in names]
                hint = f". {near(name, others)}" if others else ""
                raise UserError(f"row {i}: expected a column {name!r}{hint}")


def _finder(values: Sequence[str]) -> Callable[[str], int | None]:
    """Function of a text to the index of its value, spelt the same or as a number."""
    indices = {value: i for i, value in enumerate(values)}
    # Codes such as 1 and 01 differ, but are one number: then the spelling decides.
    numbers = [float(value) for value in values if is_number(value)]
    counts = collections.Counter(numbers)
    by_number = {
        float(value): i
        for value, i in indices.items()
        if is_number(value) and counts[float(value)] == 1
    }

    def find(text: str) -> int | None:
        if text in indices or not is_number(text):
            return indices.get(text)
        return by_number.get(float(text))

    return find


def _tuples(content: Mapping[str, Any]) -> dict[str, Any]:
    """Converts the lists among the values of a dict to tuples."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in content.items()}
