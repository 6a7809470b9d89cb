"""Reading of npz files, and conversion of inputs to the dtype of a dataset."""

import pathlib
from zipfile import BadZipFile

import numpy as np

from fdl.errors import UserError, near


def read_npz(path: pathlib.Path, name: str) -> np.ndarray:
    """Reads an array from an npz file, without unpickling.

    Args:
      path: Path of the file.
      name: Name of the array.

    Returns:
      Integer or floating-point array [N, ...].

    Raises:
      UserError: The file is missing or damaged, or has no such array of numbers.
    """
    try:
        # Object arrays would run code when they are loaded.
        with np.load(path, allow_pickle=False) as file:
            if name not in file:
                raise UserError(
                    f"{name!r}: expected an array in {path}. {near(name, file)}"
                )
            array = file[name]
    except FileNotFoundError:
        raise UserError(f"{path}: expected a file") from None
    except UserError:
        raise
    except (
        OSError,
        ValueError,
        EOFError,
        BadZipFile,
        AttributeError,
        TypeError,
    ):
        raise UserError(f"{path}: expected an undamaged npz file") from None
    # A member of the archive that does not begin like a npy file is read as bytes.
    if not isinstance(array, np.ndarray):
        raise UserError(f"{path}: expected an undamaged npz file")
    if not array.ndim or array.dtype.kind not in "iuf":
        shown = f"{array.dtype} {list(array.shape)}"
        raise UserError(f"{name!r} in {path} is {shown}: expected numbers [N, ...]")
    return array


def as_dtype(inputs: np.ndarray, dtype: np.dtype, name: str) -> np.ndarray:
    """Inputs converted to the dtype of a dataset, if it can represent them.

    Args:
      inputs: Array of numbers.
      dtype: Dtype of the dataset.
      name: Name of the inputs, for errors.

    Raises:
      UserError: The inputs are not finite; or the dtype is one of integers, and they
        have a fractional part or are out of its range.
    """
    if not np.isfinite(inputs).all():
        raise UserError(f"{name!r} has NaN or infinity: expected finite numbers")
    if not np.issubdtype(dtype, np.integer) or not inputs.size:
        return inputs.astype(dtype)
    limits = np.iinfo(dtype)
    low, high = inputs.min(), inputs.max()
    if low < limits.min or high > limits.max or not (inputs == np.rint(inputs)).all():
        raise UserError(
            f"{name!r} goes from {low:g} to {high:g}: expected whole numbers from "
            f"{limits.min} to {limits.max}, as the data has them ({dtype})"
        )
    return inputs.astype(dtype)
