"""Tables: rows of a CSV file or of other sources, as arrays of features and labels."""

import contextlib
import itertools
import os
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from fdl.data.splits import Splits, split_indices
from fdl.data.tabular.column_stats import (
    MISSING,
    Column,
    Row,
    categories_of,
    is_number,
    learn_category,
    learn_number,
    notation,
    numbers_of,
)
from fdl.data.tabular.csv_files import read_csv
from fdl.data.tabular.encoding import Encoding, check_columns
from fdl.errors import UserError, near

MOST_CLASSES = 20  # A target of at most so many different integers is a class.
MAX_ROUNDING = 0.01  # Of standard deviations, by which float32 may change a number.
MOST_CATEGORIES = 256  # More of them in a column suggest names or free text.

Arrays = dict[str, np.ndarray]


class Table(NamedTuple):
    """Three parts of a table, and the encoding fitted to the first.

    Attributes:
      train: Training rows: ``features``, float32 [N, F], and ``label``, int32 [N], or
        ``target``, float32 [N]; ``categories``, int32 [N, K], if they are integer
        codes.
      validation: The same arrays of the rows for validation.
      test: The same of the rows for testing; None in cross-validation.
      encoding: Encoding of new rows as the same arrays.
    """

    train: Arrays
    validation: Arrays
    test: Arrays | None
    encoding: Encoding

    @property
    def splits(self) -> Splits:
        """The three parts, as an argument of `fdl.supervised`."""
        return Splits(self.train, self.validation, self.test)


def table(
    source: str | os.PathLike | Sequence[Row],
    target: str,
    *,
    classes: bool | None = None,
    categories: str | Sequence[str] = (),
    ignore: str | Sequence[str] = (),
    one_hot: bool = True,
    standardize: bool = True,
    missing: Sequence[str] = MISSING,
    delimiter: str | None = None,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.25,
    seed: int = 0,
    num_folds: int = 0,
    fold: int = 0,
) -> Table:
    """Loads a table, splits its rows, and encodes them as arrays.

    A column is numeric if all its values are numbers as in ``-1234.5`` or ``1e3``, and
    categorical if none is. Numbers in another notation, such as ``1,5``, ``12 %`` and
    ``0x1F``, dates and times are an error: they may be meant as either. All statistics
    (means, standard deviations, categories) are fitted to the training part alone.

    Args:
      source: Path of a CSV file with a header; or rows, dicts by name of the column, as
        of `read_csv` and `bundled_rows`.
      target: Name of the column to predict.
      classes: True if the target is a class, False if it is a number. Default: True for
        text, and for integers of which at most 20 differ.
      categories: Name or names of columns that are categorical even if they hold
        numbers.
      ignore: Name or names of columns to leave out, such as names and row numbers.
      one_hot: True to encode categories as one-hot features; False for integer codes,
        ``categories``, as inputs of an embedding.
      standardize: True to give numeric columns zero mean and unit standard deviation;
        False to leave them as they are.
      missing: Texts that stand for a missing value.
      delimiter: Character between two values of the file; see `read_csv`.
      validation_fraction: Fraction for validation of the rows that are not for testing,
        stratified by class.
      test_fraction: Fraction of the rows for testing, stratified by class.
      seed: Seed of the split.
      num_folds: Number of folds for cross-validation, instead of the fractions; 0 for
        none. Then nothing is for testing.
      fold: Index of the fold that is held out, for validation.

    Returns:
      The parts, and the encoding.

    Raises:
      UserError: The table is not valid; the text names row and column. Rows count from
        1, without the header.

    Example:
      >>> people = table("people.csv", "income")  # doctest: +SKIP
      >>> people.encoding.encode([{"age": "41", "town": "Rome"}])  # doctest: +SKIP
    """
    if isinstance(source, str | os.PathLike):
        rows: Sequence[Row] = read_csv(source, delimiter=delimiter)
    else:
        rows, source = source, ""
    categories, ignore = (
        [names] if isinstance(names, str) else names for names in (categories, ignore)
    )
    with _prefixed_errors(source):
        _check_names(rows, target, [*categories, *ignore])
        names = _classes(rows, target, classes, missing)
        # Labels come first, because the split is stratified by them.
        unfitted = Encoding((), target, names, one_hot, standardize, tuple(missing))
        labels = unfitted.labels(rows)
        # The kind of a column is decided on all rows, so that it does not depend on the
        # split; its statistics below must not depend on what is held out.
        kinds = _kinds(rows, {target, *ignore}, categories, missing)
        if not standardize:
            for name, fit in kinds.items():
                if fit is learn_number:
                    values = numbers_of(rows, name, missing)
                    _check_rounding(f"column {name!r}", values)
        (targets,) = labels.values()
        parts = split_indices(
            targets,
            validation_fraction=validation_fraction,
            test_fraction=test_fraction,
            seed=seed,
            num_folds=num_folds,
            fold=fold,
            names=names,
        )
        train_rows = [rows[i] for i in parts[0]]
        columns = [
            _fit_column(train_rows, name, fit, missing) for name, fit in kinds.items()
        ]
    encoding = unfitted._replace(columns=tuple(columns))
    arrays = {**encoding.encode(rows), **labels}
    train, validation, *test = (
        {name: x[index] for name, x in arrays.items()}
        for index in parts
        if index is not None
    )
    return Table(train, validation, test[0] if test else None, encoding)


@contextlib.contextmanager
def _prefixed_errors(source: str | os.PathLike) -> Iterator[None]:
    """Prefixes the texts of user errors with the path of the file, if any."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{source}: {error}" if source else str(error)) from None


def _check_names(rows: Sequence[Row], target: str, others: Sequence[str]) -> None:
    """Raises `UserError` if there are no rows, or names are not of columns."""
    if not rows:
        raise UserError("expected at least one row, got none")
    if target not in rows[0]:
        # The name may be the default of an experiment, which resembles no column, so a
        # short list is shown in full.
        if len(rows[0]) <= 20:
            names = ", ".join(f"{name:.50}" for name in rows[0])
            raise UserError(f"target={target!r}: expected one of {names}")
        raise UserError(
            f"target={target!r}: expected a column. {near(target, rows[0])}"
        )
    check_columns(rows, [*rows[0]])
    check_columns(rows[:1], others)
    if target in others:
        raise UserError(
            f"target={target!r}: expected a column that is not in categories or ignore"
        )


def _classes(
    rows: Sequence[Row], target: str, classes: bool | None, missing: Sequence[str]
) -> tuple[str, ...]:
    """Classes of the target, sorted; empty if it is a number."""
    texts = [text for text in categories_of(rows, target, missing) if text is not None]
    values = sorted(set(texts))
    non_numbers = [text for text in values if not is_number(text)]
    if len(values) < 2:
        only = f"only {texts[0]!r}" if texts else "none"
        raise UserError(
            f"target={target!r}: expected at least two different values, got {only}"
        )
    if classes is None:
        _check_notation(f"target={target!r}", texts, "set classes to True")
        integers = not non_numbers and all(float(text).is_integer() for text in values)
        classes = bool(non_numbers) or (integers and len(values) <= MOST_CLASSES)
    if not classes:
        if non_numbers:
            raise UserError(
                f"target={target!r}: expected numbers, got {non_numbers[0]!r}"
            )
        _check_rounding(f"target={target!r}", numbers_of(rows, target, missing))
        return ()
    if non_numbers:
        return tuple(values)
    values.sort(key=float)  # As texts, 10 would come before 2.
    for one, other in itertools.pairwise(values):
        if float(one) == float(other):
            raise UserError(
                f"target={target!r}: expected each class in one spelling, got {one!r} "
                f"and {other!r}"
            )
    return tuple(values)


def _kinds(
    rows: Sequence[Row],
    excluded: set[str],
    categories: Sequence[str],
    missing: Sequence[str],
) -> dict[str, Any]:
    """Fitting function of each column, by name."""
    kinds: dict[str, Any] = {}
    for name in rows[0]:
        if name in excluded:
            continue
        texts = categories_of(rows, name, missing)
        present = [text for text in texts if text is not None]
        if not present:
            raise UserError(
                f"column {name!r}: expected at least one value, got none; add it to "
                "ignore"
            )
        if name not in categories:
            _check_notation(f"column {name!r}", present, "add it to categories")
        if name in categories or not any(map(is_number, present)):
            _check_categories(name, present)
            kinds[name] = learn_category
        else:
            numbers_of(rows, name, missing)  # Raises for a text among numbers.
            kinds[name] = learn_number
    if not kinds:
        raise UserError("expected at least one column besides the target")
    return kinds


def _check_notation(place: str, texts: Sequence[str], remedy: str) -> None:
    """Raises `UserError` if a text is a number or a date, but no plain number."""
    for text in texts:
        if kind := notation(text):
            raise UserError(
                f"{place}: expected plain numbers such as 1234.5, or categories, got "
                f"{text!r}, {kind}; rewrite it, or {remedy}"
            )


def _check_rounding(place: str, numbers: Sequence[float]) -> None:
    """Raises `UserError` if float32 loses how numbers, or NaN, differ."""
    values = np.array(numbers)
    values = values[~np.isnan(values)]
    error, std = np.abs(values.astype(np.float32) - values).max(), values.std()
    if values.min() < values.max() and error > MAX_ROUNDING * std:
        raise UserError(
            f"{place}: expected numbers that float32 can tell apart, got a mean of "
            f"{values.mean():.9g} and a standard deviation of {std:.3g}; subtract "
            "an offset, or change the unit"
        )


def _check_categories(name: str, texts: Sequence[str]) -> None:
    """Raises `UserError` if a column has too many categories."""
    num_categories = len(set(texts))
    if num_categories > MOST_CATEGORIES:
        raise UserError(
            f"column {name!r}: expected at most {MOST_CATEGORIES} categories, got "
            f"{num_categories} in {len(texts)} rows; add it to ignore, or merge some"
        )


def _fit_column(
    rows: Sequence[Row], name: str, fit: Any, missing: Sequence[str]
) -> Column:
    if fit is learn_number:
        return learn_number(name, numbers_of(rows, name, missing))
    return learn_category(name, categories_of(rows, name, missing))
