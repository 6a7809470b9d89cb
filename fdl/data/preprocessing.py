"""Features with mean 0 and standard deviation 1."""

import numpy as np

from fdl.errors import UserError, near

Arrays = dict[str, np.ndarray]


def standardize(train: Arrays, *others: Arrays, name: str = "features") -> list[Arrays]:
    """Shifts and scales a feature by the mean and deviation of the training data.

    A feature that is constant there is only shifted.

    Args:
      train: Arrays, of which ``name``, float [N, ...], says how.
      *others: Arrays to treat in the same way.
      name: What to standardize.

    Returns:
      All of them with ``name`` replaced, float32; the arguments stay as they are.

    Raises:
      UserError: There is no such feature, or it is not finite.

    Example:
      >>> train = {"features": np.array([[1.0], [3.0]])}
      >>> test = {"features": np.array([[4.0]])}
      >>> standardize(train, test)[1]["features"]
      array([[2.]], dtype=float32)
    """
    for arrays in (train, *others):
        if name not in arrays:
            raise UserError(
                f"There is no {name!r} to standardize. {near(name, arrays)}"
            )
    reference = np.asarray(train[name], np.float64)
    if not np.isfinite(reference).all():
        raise UserError(f"{name!r} has values that are missing, or not finite.")
    # Rounding leaves a constant beside its mean, and with a tiny deviation, which would
    # blow it up.
    constant = reference.max(axis=0) == reference.min(axis=0)
    mean = np.where(constant, reference[0], reference.mean(axis=0))
    deviation = np.where(constant, 1.0, reference.std(axis=0))

    def apply(arrays: Arrays) -> Arrays:
        return {**arrays, name: ((arrays[name] - mean) / deviation).astype(np.float32)}

    return [apply(arrays) for arrays in (train, *others)]
