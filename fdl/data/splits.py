"""Data divided for testing: once, or into folds for cross-validation."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fdl.errors import UserError, near

Arrays = Mapping[str, np.ndarray]
Pair = tuple[np.ndarray, np.ndarray]


class Folds(NamedTuple):
    """Indices of examples, of K folds that are filled up to the same shape.

    Attributes:
      train: What each fold learns from, int32 [K, N].
      train_mask: Zero where an index only fills up, float32 [K, N].
      test: What it is tested on, int32 [K, M].
      test_mask: The same, float32 [K, M].
    """

    train: np.ndarray
    train_mask: np.ndarray
    test: np.ndarray
    test_mask: np.ndarray


def folds(
    labels: Any, num_folds: int, seed: int = 0, *, stratified: bool | None = None
) -> Folds:
    """Divides examples into parts; each fold is tested on one, and learns the others.

    Every example is tested exactly once. The shapes of all folds are the same, so that
    they can be trained side by side, by one ``jax.vmap``.

    Args:
      labels: Class indices, int [N], or numbers, float [N]; only stratifying looks at
        what they are.
      num_folds: K, how many.
      seed: Of the division, which is scikit-learn's.
      stratified: Whether each part has its share of each class. Default: if the labels
        are integers.

    Raises:
      UserError: There are fewer than two folds, or more than examples, or than
        examples of a class if they are stratified.

    Example:
      >>> folds(np.array([0, 0, 1, 1, 1]), 2).test_mask
      array([[1., 1., 1.],
             [1., 1., 0.]], dtype=float32)
    """
    pairs = fold_indices(labels, num_folds, seed, stratified=stratified)
    train, test = zip(*pairs, strict=True)
    return Folds(*_filled(train), *_filled(test))


def fold(
    train: Arrays,
    test: Arrays,
    *,
    num_folds: int = 0,
    fold: int = 0,
    seed: int = 0,
    labels: str = "label",
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """One fold of all the data there is; or the division that it comes with.

    Standardise after this, not before: what is tested must not be learnt from.

    Args:
      train: Arrays that share their leading axis.
      test: The same of other examples. Both together are what is divided anew.
      num_folds: Into how many parts. With 0 all stays as it is.
      fold: Which of them is tested.
      seed: Of the division.
      labels: Name of the labels, which are stratified if they are integers.

    Returns:
      What to learn from, and what to test on.

    Raises:
      UserError: There are no such labels, or is no such fold.
    """
    if not num_folds:
        return dict(train), dict(test)
    if labels not in train:
        raise UserError(f"There is no {labels!r} to divide by. {near(labels, train)}")
    whole = {k: np.concatenate([v, test[k]]) for k, v in train.items()}
    parts = split_indices(whole[labels], seed=seed, num_folds=num_folds, fold=fold)
    learnt, tested = ({k: v[i] for k, v in whole.items()} for i in parts)
    return learnt, tested


def split_indices(
    labels: Any,
    test_fraction: float = 0.25,
    seed: int = 0,
    num_folds: int = 0,
    fold: int = 0,
    names: Sequence[str] = (),
) -> Pair:
    """Which examples to learn from, and which to test on: by share, or by fold.

    Args:
      labels: Class indices, int [N], which keep their shares; or numbers.
      test_fraction: Share for testing, rounded up.
      seed: Of the division.
      num_folds: If not 0, into how many parts to divide instead.
      fold: Which of them is for testing.
      names: Of the classes, for errors. Default: their indices.

    Raises:
      UserError: There is no such division.
    """
    if num_folds:
        if num_folds > 0 and not 0 <= fold < num_folds:
            raise UserError(f"fold is {fold}, but the folds are 0 to {num_folds - 1}.")
        return fold_indices(labels, num_folds, seed, names=names)[fold]
    from sklearn.model_selection import train_test_split

    labels = np.asarray(labels)
    classes = _are_classes(labels)
    if not 0 < test_fraction < 1:
        raise UserError(f"test_fraction is {test_fraction}: expected between 0 and 1.")
    tested = math.ceil(len(labels) * test_fraction)
    least = len(np.unique(labels)) if classes else 1
    if classes:
        _check_classes(labels, 2, "a division into two parts", names)
    if min(tested, len(labels) - tested) < least:
        raise UserError(
            f"test_fraction is {test_fraction}: {len(labels)} examples are too few to "
            f"have {least} in each part."
        )
    train, test = train_test_split(
        np.arange(len(labels), dtype=np.int32),
        test_size=tested,
        random_state=seed,
        stratify=labels if classes else None,
    )
    return train, test


def fold_indices(
    labels: Any,
    num_folds: int,
    seed: int = 0,
    *,
    stratified: bool | None = None,
    names: Sequence[str] = (),
) -> list[Pair]:
    """As `folds`, but each fold with the indices that it has, int32."""
    from sklearn.model_selection import KFold, StratifiedKFold

    labels = np.asarray(labels)
    if not 2 <= num_folds <= len(labels):
        raise UserError(
            f"num_folds is {num_folds}, but has to be at least 2 and at most "
            f"{len(labels)}, the number of examples."
        )
    classes = _are_classes(labels) if stratified is None else stratified
    if classes:
        _check_classes(labels, num_folds, f"{num_folds} folds", names)
    kind = StratifiedKFold if classes else KFold
    divide = kind(num_folds, shuffle=True, random_state=seed).split(labels, labels)
    return [(a.astype(np.int32), b.astype(np.int32)) for a, b in divide]


def _are_classes(labels: np.ndarray) -> bool:
    return labels.dtype.kind in "iub"


def _check_classes(
    labels: np.ndarray, least: int, what: str, names: Sequence[str]
) -> None:
    classes, counts = np.unique(labels, return_counts=True)
    rarest = int(np.argmin(counts))
    if counts[rarest] < least:
        name = repr(names[classes[rarest]]) if names else classes[rarest]
        raise UserError(
            f"class {name} has {counts[rarest]} of {len(labels)} examples: too few for "
            f"{what}."
        )


def _filled(rows: Sequence[np.ndarray]) -> Pair:
    """Rows of different lengths, filled up with their first element; and a mask."""
    longest = max(map(len, rows))
    filled = [np.append(row, np.repeat(row[:1], longest - len(row))) for row in rows]
    mask = [np.arange(longest) < len(row) for row in rows]
    return np.stack(filled), np.stack(mask).astype(np.float32)
