"""What classes are called, and arrays that belong together."""

from collections.abc import Sequence

import numpy as np


def check_lengths(
    labels: np.ndarray, answers: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Labels [N] and answers [N, ...], without the examples whose label is negative.

    Raises:
      ValueError: There are not as many of each.
    """
    labels, answers = np.asarray(labels), np.asarray(answers)
    if labels.ndim != 1 or len(labels) != len(answers):
        raise ValueError(
            f"labels are {list(labels.shape)} and answers {list(answers.shape)}: "
            "expected [N] and [N, ...]"
        )
    counts = labels >= 0
    return labels[counts], answers[counts]


def check_probabilities(
    labels: np.ndarray, probabilities: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Labels [N] and probabilities [N, C], without negative labels.

    Raises:
      ValueError: They are not of these shapes, or a label is no class.
    """
    labels, probabilities = check_lengths(labels, probabilities)
    if probabilities.ndim != 2:
        shape = list(probabilities.shape)
        raise ValueError(f"probabilities are {shape}: expected [N, C]")
    if len(labels) and labels.max() >= probabilities.shape[1]:
        raise ValueError(
            f"a label is {labels.max()}, but there are {probabilities.shape[1]} classes"
        )
    return labels, probabilities


def literal(text: object) -> str:
    """A text as it is, which matplotlib would take for a formula between dollars."""
    return str(text).replace("$", r"\$")


def class_names(classes: Sequence[str], *indices: np.ndarray) -> list[str]:
    """A name for each class, or column, that is named, or occurs."""
    count = max([len(classes), *(int(x.max()) + 1 for x in indices if len(x))])
    return [*map(literal, classes), *map(str, range(len(classes), count))]
