"""Input checks and class names shared by the plots."""

from collections.abc import Sequence

import numpy as np

from fdl.errors import UserError


def check_lengths(
    labels: np.ndarray, answers: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Removes examples with a negative label from labels [N] and answers [N, ...].

    Raises:
      UserError: The numbers of labels and answers differ.
    """
    labels, answers = np.asarray(labels), np.asarray(answers)
    if labels.ndim != 1 or len(labels) != len(answers):
        raise UserError(
            f"labels of shape {list(labels.shape)}, answers of shape "
            f"{list(answers.shape)}: expected [N] and [N, ...]"
        )
    valid = labels >= 0
    return labels[valid], answers[valid]


def check_probabilities(
    labels: np.ndarray, probabilities: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Removes examples with a negative label from labels [N] and probabilities [N, C].

    Raises:
      UserError: The shapes do not match, or a label is not below C.
    """
    labels, probabilities = check_lengths(labels, probabilities)
    if probabilities.ndim != 2:
        shape = list(probabilities.shape)
        raise UserError(f"probabilities of shape {shape}: expected [N, C]")
    if len(labels) and labels.max() >= probabilities.shape[1]:
        raise UserError(
            f"label={labels.max()}: expected less than {probabilities.shape[1]}, the "
            "number of classes"
        )
    return labels, probabilities


def literal(text: object) -> str:
    r"""Text that matplotlib draws as it is.

    Dollar signs are escaped, as a formula would be typeset between two of them, and so
    are characters that no font has: control characters and lone surrogates.

    Example:
      >>> print(literal("a $ \x1b"))
      a \$ \x1b
    """
    escaped = (
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode()
        for c in str(text)
    )
    return "".join(escaped).replace("$", r"\$")


def class_names(classes: Sequence[str], *indices: np.ndarray) -> list[str]:
    """Names of all classes or columns; those without a name get their index."""
    count = max([len(classes), *(int(x.max()) + 1 for x in indices if len(x))])
    return [*map(literal, classes), *map(str, range(len(classes), count))]
