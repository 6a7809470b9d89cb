"""Tables: from a CSV file of the user's own, or other rows, to features and labels."""

import contextlib
import itertools
import os
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from fdl.data.splits import split_indices
from fdl.data.tabular.column_stats import (
    MISSING,
    Column,
    Row,
    categories_of,
    is_number,
    learn_category,
    learn_number,
    numbers_of,
)
from fdl.data.tabular.csv_files import read_csv
from fdl.data.tabular.encoding import Encoding, check_columns
from fdl.errors import UserError, near

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
    test_fraction: float = 0.25,
    seed: int = 0,
    num_folds: int = 0,
    fold: int = 0,
) -> Table:
    """Reads a CSV file, divides its rows, and makes arrays of them; or of other rows.

    A column is one of numbers if all that is there are numbers, and one of categories
    if none is. All that is learned of the columns (means, deviations, categories) is
    learned from the training part alone.

    Args:
      source: The file, whose first line names the columns; or rows, dicts by name of
        the column, as of `read_csv` and `bundled_rows`.
      target: Which column is to be predicted.
      classes: Whether the target is a class; or else it is a number. Default: it is if
        it is text, or whole numbers of which at most 20 differ.
      categories: Columns that hold categories, even if they look like numbers; or one.
      ignore: Columns to leave out, say names and running numbers; or one.
      one_hot: Whether categories become features of 0 and 1; or else integer codes,
        ``categories``, for an embedding.
      standardize: Whether numbers get the mean 0 and the deviation 1; or else stay.
      missing: Texts that stand for a missing value.
      delimiter: What stands between two values of the file; see `read_csv`.
      test_fraction: Share of the rows for testing; classes keep their shares.
      seed: Of the division, which is a function of it.
      num_folds: For cross-validation, into how many parts to divide the rows instead.
      fold: Which of them is for testing.

    Raises:
      UserError: What is wrong with the table, by row and column; rows count from 1,
        without the names.

    Example:
      >>> train, test, encoding = table("people.csv", "income")  # doctest: +SKIP
      >>> encoding.encode([{"age": "41", "town": "Rome"}])  # doctest: +SKIP
    """
    if isinstance(source, str | os.PathLike):
        rows: Sequence[Row] = read_csv(source, delimiter=delimiter)
    else:
        rows, source = source, ""
    categories, ignore = (
        [names] if isinstance(names, str) else names for names in (categories, ignore)
    )
    with _named(source):
        _check_names(rows, target, [*categories, *ignore])
        names = _classes(rows, target, classes, missing)
        whole = Encoding((), target, names, one_hot, standardize, tuple(missing))
        labels = whole.labels(rows)
        kinds = _kinds(rows, {target, *ignore}, categories, missing)
        (answers,) = labels.values()
        train, test = split_indices(
            answers, test_fraction, seed, num_folds, fold, names
        )
        learned = [rows[i] for i in train]
        columns = [_learn(learned, name, kind, missing) for name, kind in kinds.items()]
    encoding = whole._replace(columns=tuple(columns))
    arrays = {**encoding.encode(rows), **labels}
    parts = [{k: v[index] for k, v in arrays.items()} for index in (train, test)]
    return Table(parts[0], parts[1], encoding)


@contextlib.contextmanager
def _named(source: str | os.PathLike) -> Iterator[None]:
    """Names the file in whatever is wrong with it."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{source}: {error}" if source else str(error)) from None


def _check_names(rows: Sequence[Row], target: str, others: Sequence[str]) -> None:
    if not rows:
        raise UserError("there are no rows.")
    if target not in rows[0]:
        # Who has not said what it is, wants to see them all.
        few = len(rows[0]) <= 20
        hint = f"There is: {', '.join(rows[0])}." if few else near(target, rows[0])
        raise UserError(f"there is no column {target!r}, the target. {hint}")
    check_columns(rows, [*rows[0], *others])
    if target in others:
        raise UserError(f"column {target!r} is the target, and no input.")


def _classes(
    rows: Sequence[Row], target: str, classes: bool | None, missing: Sequence[str]
) -> tuple[str, ...]:
    """The classes of the target, sorted; none if it is a number."""
    texts = [text for text in categories_of(rows, target, missing) if text is not None]
    known = sorted(set(texts))
    words = [text for text in known if not is_number(text)]
    if len(known) < 2:
        only = f"one value only, {texts[0]!r}" if texts else "no value at all"
        raise UserError(f"column {target!r}, the target, has {only}.")
    if classes is None:
        whole = not words and all(float(text).is_integer() for text in known)
        classes = bool(words) or (whole and len(known) <= MOST_CLASSES)
    if not classes:
        if words:
            raise UserError(
                f"column {target!r}, the target, has {words[0]!r}, which is no number."
            )
        return ()
    if words:
        return tuple(known)
    known.sort(key=float)
    for one, other in itertools.pairwise(known):
        if float(one) == float(other):
            raise UserError(
                f"column {target!r}, the target, has {one!r} and {other!r}: write the "
                "same number in the same way."
            )
    return tuple(known)


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
