"""Tables of the user's own: from a CSV file to features and labels."""

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fdl.data.columns import (
    MISSING,
    Column,
    Row,
    categories_of,
    is_number,
    learn_category,
    learn_number,
    numbers_of,
)
from fdl.data.csv_files import read_csv
from fdl.data.encoding import Encoding, check_columns
from fdl.data.folding import split_indices
from fdl.errors import UserError

MOST_CLASSES = 20  # Up to so many whole numbers are taken for classes.
MOST_CATEGORIES = 256

Arrays = dict[str, np.ndarray]


class Table(NamedTuple):
    """A table, divided into two parts, and what was learned of the first.

    Attributes:
      train: ``features``, float32 [N, F], and ``label``, int32 [N], or ``target``,
        float32 [N]; ``categories``, int32 [N, K], where they are integer codes.
      test: The same of other rows.
      encoding: Makes the same of new rows.
    """

    train: Arrays
    test: Arrays
    encoding: Encoding


def table(
    csv: str | os.PathLike,
    target: str,
    *,
    classes: bool | None = None,
    categories: Sequence[str] = (),
    ignore: Sequence[str] = (),
    one_hot: bool = True,
    missing: Sequence[str] = MISSING,
    delimiter: str = ",",
    test_fraction: float = 0.25,
    seed: int = 0,
    num_folds: int = 0,
    fold: int = 0,
) -> Table:
    """Reads a CSV file, divides its rows, and makes arrays of them.

    A column is one of numbers if all that is there are numbers, and one of categories
    if none is. All that is learned of the columns (means, deviations, categories) is
    learned from the training part alone.

    Args:
      csv: The file; its first line names the columns.
      target: Which column is to be predicted.
      classes: Whether the target is a class; or else it is a number. Default: it is if
        it is text, or whole numbers of which at most 20 differ.
      categories: Columns that hold categories, even if they look like numbers.
      ignore: Columns to leave out, say names and running numbers.
      one_hot: Whether categories become features of 0 and 1; or else integer codes,
        ``categories``, for an embedding.
      missing: Texts that stand for a missing value.
      delimiter: What stands between two values.
      test_fraction: Share of the rows for testing; classes keep their shares.
      seed: Of the division, which is a function of it.
      num_folds: For cross-validation, into how many parts to divide the rows instead.
      fold: Which of them is for testing.

    Raises:
      UserError: What is wrong with the file, by row and column.

    Example:
      >>> train, test, encoding = table("people.csv", "income")  # doctest: +SKIP
      >>> encoding.encode([{"age": "41", "town": "Rome"}])  # doctest: +SKIP
    """
    rows = read_csv(csv, delimiter=delimiter)
    try:
        check_columns(rows[:1], [target, *categories, *ignore])
        names = _classes(rows, target, classes, missing)
        whole = Encoding((), target, names, one_hot, tuple(missing))
        labels = whole.labels(rows)
        kinds = _kinds(rows, {target, *ignore}, categories, missing)
        (answers,) = labels.values()
        train, test = split_indices(
            answers, test_fraction, seed, num_folds, fold, names
        )
        learned = [rows[i] for i in train]
        columns = [_learn(learned, name, kind, missing) for name, kind in kinds.items()]
    except UserError as error:
        raise UserError(f"{csv}: {error}") from None
    encoding = whole._replace(columns=tuple(columns))
    arrays = {**encoding.encode(rows), **labels}
    parts = [{k: v[index] for k, v in arrays.items()} for index in (train, test)]
    return Table(parts[0], parts[1], encoding)


def _classes(
    rows: Sequence[Row], target: str, classes: bool | None, missing: Sequence[str]
) -> tuple[str, ...]:
    """The classes of the target, sorted; none if it is a number."""
    texts = [text for text in categories_of(rows, target, missing) if text is not None]
    known = set(texts)
    numeric = all(map(is_number, known))
    if classes is None:
        whole = numeric and all(float(text).is_integer() for text in known)
        classes = not numeric or (whole and len(known) <= MOST_CLASSES)
    if not classes:
        return ()
    if len(known) < 2:
        only = f"one class only, {texts[0]!r}" if texts else "no value at all"
        raise UserError(f"column {target!r}, the target, has {only}.")
    return tuple(sorted(known, key=float) if numeric else sorted(known))


def _kinds(
    rows: Sequence[Row],
    others: set[str],
    categories: Sequence[str],
    missing: Sequence[str],
) -> dict[str, Any]:
    """Which function learns each of the columns."""
    kinds: dict[str, Any] = {}
    for name in rows[0]:
        if name in others:
            continue
        found = categories_of(rows, name, missing)
        there = [text for text in found if text is not None]
        if not there:
            raise UserError(f"column {name!r} is empty: ignore it.")
        if name in categories or not any(map(is_number, there)):
            _check_categories(name, there)
            kinds[name] = learn_category
        else:
            numbers_of(rows, name, missing)  # A text among numbers is an error.
            kinds[name] = learn_number
    if not kinds:
        raise UserError("there is no column beside the target.")
    return kinds


def _check_categories(name: str, texts: Sequence[str]) -> None:
    known = len(set(texts))
    if known > MOST_CATEGORIES:
        raise UserError(
            f"column {name!r} has {known} categories in {len(texts)} rows, more than "
            f"{MOST_CATEGORIES}: ignore it, or make fewer of them."
        )


def _learn(rows: Sequence[Row], name: str, kind: Any, missing: Sequence[str]) -> Column:
    if kind is learn_number:
        return learn_number(name, numbers_of(rows, name, missing))
    return learn_category(name, categories_of(rows, name, missing))
