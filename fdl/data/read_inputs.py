"""Reading of new examples from image, CSV and npz files."""

import os
import pathlib
from collections.abc import Sequence

import numpy as np

from fdl.data.encoders import Raw
from fdl.data.image.image_files import read_images
from fdl.data.npz_files import read_arrays
from fdl.data.preprocessing import Preprocessing, encoder
from fdl.data.tabular.csv_files import csv_lines
from fdl.data.tabular.numeric_csv import read_numeric_csv
from fdl.errors import UserError

Rows = list[dict[str, str]]


def read_inputs(
    preprocessing: Preprocessing,
    paths: Sequence[str | os.PathLike],
    *,
    invert: bool = False,
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Reads new examples from files, and encodes them as the training data.

    Args:
      preprocessing: Preprocessing of the model.
      paths: Image files; or one CSV file, with a header if the model knows the names of
        its columns; or one npz file of arrays [N, ...] by the names of the inputs, in
        the units of the training data (of a table: encoded).
      invert: True to swap black and white of images.

    Returns:
      Encoded arrays [N, ...] by name, and the names of the examples: paths of images,
      or numbers from 0 on.

    Raises:
      UserError: A file cannot be read, or is not what the model takes.
    """
    files = [pathlib.Path(path) for path in paths]
    kinds = {path.suffix.lower() for path in files} & {".csv", ".npz"}
    if not files or (kinds and len(files) > 1):
        raise UserError("expected images, or else one CSV or npz file")
    if invert and kinds:
        raise UserError(f"invert=True: expected images, not {files[0]}")
    encode = encoder(preprocessing)
    if not kinds:
        shape = _only_shape(preprocessing, files[0])
        return encode(read_images(files, shape, invert=invert)), [*map(str, files)]
    if kinds == {".csv"}:
        raw = _read_table(preprocessing, files[0])
    else:
        raw = read_arrays(files[0], [*preprocessing.inputs])
    try:
        arrays = encode(raw)
    except UserError as error:
        raise UserError(f"{files[0]}: {error}") from None
    return arrays, [str(i) for i in range(len(next(iter(arrays.values()))))]


def _only_shape(preprocessing: Preprocessing, path: pathlib.Path) -> Sequence[int]:
    """Shape of the only input of one example."""
    inputs = preprocessing.inputs
    if len(inputs) > 1:
        raise UserError(
            f"{path}: the model takes several inputs: expected an npz file with the "
            f"arrays {', '.join(inputs)}"
        )
    (example,) = inputs.values()
    return example.shape


def _read_table(preprocessing: Preprocessing, path: pathlib.Path) -> Raw:
    """Rows of a CSV file; or numbers, if the names of the columns are not known."""
    if preprocessing.columns:
        return _read_rows(path)
    shape = _only_shape(preprocessing, path)
    if len(shape) != 1:
        raise UserError(
            f"{path}: the model takes {list(shape)} of each example, not a row of a "
            "table: expected images, or an npz file"
        )
    (name,) = preprocessing.inputs
    return {name: read_numeric_csv(path, shape[0])}


def _read_rows(path: pathlib.Path) -> Rows:
    """Rows of a CSV file by the names of its columns; columns without one are ignored.

    `read_csv` refuses these, as they may be inputs by mistake; here the model knows its
    columns, and other programs leave the number of a row without a name.
    """
    (_, header), *lines = csv_lines(path)
    names = [name.strip() for name in header]
    for name in names:
        if name and names.count(name) > 1:
            raise UserError(f"{path}: expected different names, got {name!r} twice")
    for line, values in lines:
        if len(values) != len(names):
            raise UserError(
                f"{path}:{line}: expected {len(names)} values, as in the header, got "
                f"{len(values)}"
            )
    if not lines:
        raise UserError(f"{path}: expected examples below the header, got none")
    return [
        {name: value for name, value in zip(names, values, strict=True) if name}
        for _, values in lines
    ]
