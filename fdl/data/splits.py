"""Training, validation and test splits, and folds of cross-validation."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fdl.errors import UserError, near

Pair = tuple[np.ndarray, np.ndarray]


class Splits(NamedTuple):
    """Training, validation and test examples.

    Each is of arrays by name, a sequence of examples, or `Batches` of them.

    Attributes:
      train: Training examples.
      validation: Examples to choose hyperparameters and checkpoints by.
      test: Examples for the result, measured once; None in cross-validation.
    """

    train: Any
    validation: Any
    test: Any = None


class Folds(NamedTuple):
    """Indices of the examples of K folds, padded to equal shapes.

    Attributes:
      train: Indices of the training examples of each fold, int32 [K, N].
      train_mask: 0 for padding and 1 otherwise, float32 [K, N].
      test: Indices of the test examples of each fold, int32 [K, M].
      test_mask: 0 for padding and 1 otherwise, float32 [K, M].
    """

    train: np.ndarray
    train_mask: np.ndarray
    test: np.ndarray
    test_mask: np.ndarray


def folds(
    labels: Any, num_folds: int, seed: int = 0, *, stratified: bool | None = None
) -> Folds:
    """K-fold cross-validation: indices of the train and test examples of each fold.

    Every example is tested in exactly one fold. All folds have the same shapes, so that
    they can be trained in parallel by one ``jax.vmap``.

    Args:
      labels: Class indices, int [N], or numbers, float [N]; their values matter only
        for stratification.
      num_folds: Number of folds K.
      seed: Seed of the division, which is that of scikit-learn.
      stratified: True to give each fold its share of each class. Default: True if the
        labels are integers.

    Returns:
      Padded indices and masks.

    Raises:
      UserError: There are fewer than two folds, or more than examples (or than those of
        a class, if stratified).

    Example:
      >>> folds(np.array([0, 0, 1, 1, 1]), 2).test_mask
      array([[1., 1., 1.],
             [1., 1., 0.]], dtype=float32)
    """
    pairs = fold_indices(labels, num_folds, seed, stratified=stratified)
    train, test = zip(*pairs, strict=True)
    return Folds(*_padded(train), *_padded(test))


def fold(
    splits: Splits,
    *,
    num_folds: int = 0,
    fold: int = 0,
    seed: int = 0,
    labels: str = "label",
) -> Splits:
    """One fold of cross-validation over all examples, or the splits as they are.

    The examples of a fold are its validation, and there is no test. Standardise the
    result, not the argument: statistics must not depend on held-out examples.

    Args:
      splits: Arrays by name, which are pooled before the division.
      num_folds: Number of folds; 0 to keep the splits as they are.
      fold: Index of the fold that is held out.
      seed: Seed of the division.
      labels: Name of the labels, by which folds are stratified if they are integers.

    Raises:
      UserError: There are no such labels, or is no such fold.
    """
    if not num_folds:
        return splits
    if labels not in splits.train:
        hint = near(labels, splits.train)
        raise UserError(f"labels={labels!r}: expected an array. {hint}")
    parts = [part for part in splits if part is not None]
    pooled = {
        name: np.concatenate([part[name] for part in parts]) for name in splits.train
    }
    train, held_out, _ = split_indices(
        pooled[labels], seed=seed, num_folds=num_folds, fold=fold
    )
    return Splits(
        *({name: x[index] for name, x in pooled.items()} for index in (train, held_out))
    )


def split_indices(
    labels: Any,
    *,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.25,
    seed: int = 0,
    num_folds: int = 0,
    fold: int = 0,
    names: Sequence[str] = (),
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Indices of a random division into three parts, or of one fold.

    Args:
      labels: Class indices, int [N], by which the division is stratified; or numbers,
        float [N].
      validation_fraction: Fraction for validation of what is not for testing; the
        number of examples is rounded up.
      test_fraction: Fraction of the examples for testing; also rounded up.
      seed: Seed of the division.
      num_folds: Number of folds, instead of the fractions; 0 for none.
      fold: Index of the fold that is held out, for validation.
      names: Names of the classes, for error texts. Default: their indices.

    Returns:
      Training, validation and test indices, int32; of a fold there are none for
      testing.

    Raises:
      UserError: There is no such division.
    """
    labels = np.asarray(labels)
    if num_folds:
        # A negative number of folds is left to `fold_indices`, which reports it.
        if num_folds > 0 and not 0 <= fold < num_folds:
            raise UserError(f"fold={fold}: expected 0 to {num_folds - 1}")
        return (*fold_indices(labels, num_folds, seed, names=names)[fold], None)
    if _are_classes(labels):
        _check_classes(labels, 3, "a division into three parts", names)
    kept, test = _divide(labels, seed, names, test_fraction=test_fraction)
    train, validation = _divide(
        labels[kept], seed, names, validation_fraction=validation_fraction
    )
    return kept[train], kept[validation], test


def fold_indices(
    labels: Any,
    num_folds: int,
    seed: int = 0,
    *,
    stratified: bool | None = None,
    names: Sequence[str] = (),
) -> list[Pair]:
    """Train and test indices of each fold, int32, without padding.

    See `folds` for the arguments, and `split_indices` for ``names``.
    """
    # Imported late: scikit-learn takes seconds.
    from sklearn.model_selection import KFold, StratifiedKFold

    labels = np.asarray(labels)
    if not 2 <= num_folds <= len(labels):
        raise UserError(
            f"num_folds={num_folds}: expected 2 to {len(labels)}, the number of "
            "examples"
        )
    classes = _are_classes(labels) if stratified is None else stratified
    if classes:
        _check_classes(labels, num_folds, f"{num_folds} folds", names)
    kind = StratifiedKFold if classes else KFold
    # Of its first argument, the features, scikit-learn uses nothing but the length.
    pairs = kind(num_folds, shuffle=True, random_state=seed).split(labels, labels)
    return [(a.astype(np.int32), b.astype(np.int32)) for a, b in pairs]


def _divide(
    labels: np.ndarray, seed: int, names: Sequence[str], **fraction: float
) -> Pair:
    """Indices of two parts, the second one of a fraction, given by its name."""
    # Imported late: scikit-learn takes seconds.
    from sklearn.model_selection import train_test_split

    ((argument, share),) = fraction.items()
    if not 0 < share < 1:
        raise UserError(f"{argument}={share}: expected between 0 and 1")
    classes = _are_classes(labels)
    if classes:
        _check_classes(labels, 2, "a division into two parts", names)
    size = math.ceil(len(labels) * share)
    # scikit-learn stratifies only if each part can hold an example of each class.
    least = len(np.unique(labels)) if classes else 1
    if min(size, len(labels) - size) < least:
        raise UserError(
            f"{argument}={share}: expected to leave at least {least} of {len(labels)} "
            "examples in each part"
        )
    rest, part = train_test_split(
        np.arange(len(labels), dtype=np.int32),
        test_size=size,
        random_state=seed,
        stratify=labels if classes else None,
    )
    return rest, part


def _are_classes(labels: np.ndarray) -> bool:
    """True if labels are integers or booleans."""
    return labels.dtype.kind in "iub"


def _check_classes(
    labels: np.ndarray, least: int, purpose: str, names: Sequence[str]
) -> None:
    """Raises `UserError` if a class has fewer examples than the purpose needs."""
    classes, counts = np.unique(labels, return_counts=True)
    rarest = int(np.argmin(counts))
    if counts[rarest] < least:
        name = repr(names[classes[rarest]]) if names else classes[rarest]
        raise UserError(
            f"class {name}: expected at least {least} examples for {purpose}, got "
            f"{counts[rarest]} of {len(labels)}"
        )


def _padded(rows: Sequence[np.ndarray]) -> Pair:
    """Rows of different lengths, padded to the longest; and their mask."""
    longest = max(map(len, rows))
    # The padding repeats an index of the same row: any other might bring a test example
    # into training.
    padded = [np.append(row, np.repeat(row[:1], longest - len(row))) for row in rows]
    mask = [np.arange(longest) < len(row) for row in rows]
    return np.stack(padded), np.stack(mask).astype(np.float32)
