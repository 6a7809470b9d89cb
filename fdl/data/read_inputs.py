"""Reading of new examples from image, text, CSV, JSON lines and npz files."""

import os
import pathlib
import warnings
from collections.abc import Callable, Sequence

import numpy as np

from fdl.data.encoders import Raw
from fdl.data.image.image_files import read_images
from fdl.data.npz_files import read_arrays
from fdl.data.preprocessing import Preprocessing, encoder
from fdl.data.tabular.csv_files import read_csv
from fdl.data.tabular.encoding import Encoding
from fdl.data.tabular.numeric_csv import read_numeric_csv
from fdl.data.text.read_texts import SUFFIXES, read_texts
from fdl.errors import UserError


def read_inputs(
    preprocessing: Preprocessing,
    paths: Sequence[str | os.PathLike],
    *,
    invert: bool = False,
    column: str | None = None,
    warn: Callable[[str], None] = warnings.warn,
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Reads new examples from files, and encodes them as the training data.

    Args:
      preprocessing: Preprocessing of the model.
      paths: Image files; or one CSV file, with a header if the model knows the names of
        its columns; or one npz file of arrays [N, ...] by the names of the inputs, in
        the units of the training data (of a table: encoded). Of a model of texts: one
        text, CSV or JSON lines file, see `fdl.data.text.read_texts`.
      invert: True to swap black and white of images.
      column: Name of the column of a CSV file, or the key of JSON lines, that has the
        texts. Default: the one of the training data.
      warn: Called with one line for each column of a table with values that the
        training data lacks; see `Encoding.unseen`.

    Returns:
      Encoded arrays [N, ...] by name, and the names of the examples: paths of images,
      or numbers from 0 on.

    Raises:
      UserError: A file cannot be read, or is not what the model takes.
    """
    files = [pathlib.Path(path) for path in paths]
    if preprocessing.encode.get("name") == "text":
        if invert:
            raise UserError("invert=True: expected images, and the model takes texts")
        return _read_texts(preprocessing, files, column)
    if column is not None:
        raise UserError(f"column={column!r}: expected a model of texts")
    kinds = {path.suffix.lower() for path in files} & {".csv", ".npz"}
    if not files or (kinds and len(files) > 1):
        raise UserError("expected images, or else one CSV or npz file")
    if invert and kinds:
        raise UserError(f"invert=True: expected images, not {files[0]}")
    encode = encoder(preprocessing)
    if not kinds:
        shape = _only_shape(preprocessing, files[0])
        if len(shape) == 1:
            raise UserError(
                f"{files[0]}: the model takes {[*shape]} of each example, not an "
                "image: expected a CSV file, or an npz file"
            )
        resample = preprocessing.encode.get("resample", "box")
        pixels = read_images(files, shape, invert=invert, resample=resample)
        return encode(pixels), [*map(str, files)]
    if kinds == {".csv"}:
        raw = _read_table(preprocessing, files[0])
    else:
        raw = read_arrays(files[0], [*preprocessing.inputs])
    try:
        arrays = encode(raw)
    except UserError as error:
        raise UserError(f"{files[0]}: {error}") from None
    encoding = preprocessing.encode.get("encoding")  # Of a table alone.
    if encoding and isinstance(raw, list):
        for remark in Encoding.from_dict(encoding).unseen(raw):
            warn(f"{files[0]}: {remark}")
    return arrays, [str(i) for i in range(len(next(iter(arrays.values()))))]


def _read_texts(
    preprocessing: Preprocessing, files: Sequence[pathlib.Path], column: str | None
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Encoded texts of a file and their numbers; see `read_inputs`."""
    known = (*SUFFIXES, ".npz")
    if len(files) != 1 or files[0].suffix.lower() not in known:
        raise UserError(f"expected one file of texts: {', '.join(known)}")
    raw: Raw
    if files[0].suffix.lower() == ".npz":
        raw = read_arrays(files[0], [*preprocessing.inputs])
    else:
        raw = read_texts(files[0], column or preprocessing.encode["column"])
    try:
        arrays = encoder(preprocessing)(raw)
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
        # The model knows its columns, and other programs leave the number of a row
        # without a name.
        return read_csv(path, unnamed=True)
    shape = _only_shape(preprocessing, path)
    if len(shape) != 1:
        raise UserError(
            f"{path}: the model takes {list(shape)} of each example, not a row of a "
            "table: expected images, or an npz file"
        )
    (name,) = preprocessing.inputs
    return {name: read_numeric_csv(path, shape[0])}
