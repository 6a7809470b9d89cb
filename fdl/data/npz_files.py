"""Arrays of npz files, and inputs in the dtype of a dataset."""

import pathlib
import zipfile

import numpy as np

from fdl.errors import UserError, near


def read_npz(path: pathlib.Path, name: str) -> np.ndarray:
    """Reads an array [N, ...] of an npz file; nothing in it is executed.

    Raises:
      UserError: There is none of this name, or it holds no numbers.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            if name not in file:
                raise UserError(f"{path} has no array {name!r}. {near(name, file)}")
            array = file[name]
    except FileNotFoundError:
        raise UserError(f"there is no file {path}") from None
    except UserError:
        raise
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError):
        raise UserError(f"{path} is no npz file, or a damaged one") from None
    if not isinstance(array, np.ndarray):  # What begins as no array does is bytes.
        raise UserError(f"{path} is no npz file, or a damaged one")
    if not array.ndim or array.dtype.kind not in "iuf":
        shown = f"{array.dtype} {list(array.shape)}"
        raise UserError(f"{name!r} in {path} is {shown}: expected numbers [N, ...]")
    return array


def as_dtype(inputs: np.ndarray, dtype: np.dtype, name: str) -> np.ndarray:
    """The inputs in the dtype of the data, where no meaning is lost.

    Raises:
      UserError: They are not finite; or they are no whole numbers, or too large, and
        the data has only such.
    """
    if not np.isfinite(inputs).all():
        raise UserError(f"{name!r} has values that are not finite")
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
