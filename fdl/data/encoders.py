"""Encoding of raw examples as the arrays of a dataset, on the host, made from data.

Each function returns ``encode(raw) -> arrays``, by name, [N, ...], as the training data
stores them. There is one form of ``raw`` for each kind of file:

* image files: ``pixels``, float32 [N, H, W, C], from 0, black, to 1, white;
* CSV files: ``rows``, a sequence of dicts of text by name of the column;
* npz files: ``arrays``, a mapping of arrays [N, ...], in the units of the data;
* text, CSV and JSON lines files: ``texts``, a sequence of str.

A `Preprocessing` names one of these functions, with arguments that JSON and npz files
can hold; ``inputs`` and ``columns`` are its own. Another kind of input is one more
function.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from fdl.data.image.image_files import RESAMPLE
from fdl.data.npz_files import as_dtype
from fdl.data.sources import is_numeric, is_text
from fdl.data.statistics import is_finite
from fdl.data.tabular.column_stats import MISSING, Row, is_number
from fdl.data.tabular.encoding import Encoding, check_columns
from fdl.data.text import tokenizers
from fdl.data.text.huggingface import special_encoder
from fdl.errors import UserError, near

__all__ = ["arrays", "features", "images", "table", "text"]

Arrays = dict[str, np.ndarray]
Inputs = Mapping[str, jax.ShapeDtypeStruct]
Raw = np.ndarray | Mapping[str, Any] | Sequence[Row] | Sequence[str]
Encode = Callable[[Raw], Arrays]

FORMS = {
    "pixels": "the pixels of images",
    "rows": "the rows of a table with named columns",
    "arrays": "arrays by name",
    "texts": "texts",
}


def arrays(inputs: Inputs, columns: Sequence[str]) -> Encode:
    """Arrays as they are, of the shapes and dtypes of the data.

    Args:
      inputs: Shape and dtype of one example, by name of the array.
      columns: Names of the last axis of inputs [N, F]; then ``rows`` are taken as well.
    """

    def read_arrays(raw: Mapping[str, Any]) -> Arrays:
        return _cast(_select(raw, inputs), inputs, columns)

    def read_rows(rows: Sequence[Row]) -> Arrays:
        return read_arrays({_only(inputs): _numbers(rows, columns)})

    return _by_form(arrays=read_arrays, rows=read_rows if columns else None)


def images(
    inputs: Inputs, columns: Sequence[str], white: float, *, resample: str = "box"
) -> Encode:
    """Images in the range of the data; pixels are rounded if these are integers.

    Args:
      inputs: Shape [H, W, C] and dtype of an image, by its name.
      columns: Not used: images have none.
      white: Value of a white pixel in the data; a black one is 0.
      resample: Filter by which files are resized; see `read_images`.
    """
    del columns
    if resample not in RESAMPLE:
        hint = near(str(resample)[:50], RESAMPLE)
        raise UserError(f"resample={resample!r:.50}: expected a filter. {hint}")
    name = _only(inputs)
    if not is_finite(white) or white <= 0:
        raise UserError(f"white={white!r:.50}: expected a positive number")

    def read_arrays(raw: Mapping[str, Any]) -> Arrays:
        return _cast(_select(raw, inputs), inputs, limits=(0, white))

    def read_pixels(pixels: np.ndarray) -> Arrays:
        (pixels,) = _select({name: pixels}, inputs).values()
        scaled = as_dtype(pixels, np.dtype("float32"), name, limits=(0, 1)) * white
        whole = inputs[name].dtype.kind in "iu"
        return read_arrays({name: scaled.round() if whole else scaled})

    return _by_form(pixels=read_pixels, arrays=read_arrays)


def features(
    inputs: Inputs,
    columns: Sequence[str],
    mean: np.ndarray,
    std: np.ndarray,
    *,
    missing: bool = False,
) -> Encode:
    """Standardised features, (x − mean) / std, computed in float64.

    Args:
      inputs: Shape and dtype of the features of an example, by their name.
      columns: Names of the last axis of features [N, F]; then ``rows`` are taken as
        well.
      mean: Mean of the training data, float64, of the shape of an example.
      std: Standard deviation of the training data, of the same shape.
      missing: True if NaN is a missing value, which becomes the mean.
    """
    name = _only(inputs)
    statistics = {"mean": mean, "std": std}
    for key, value in statistics.items():
        shape = inputs[name].shape
        if not isinstance(value, np.ndarray) or value.shape != shape:
            raise UserError(f"{key}: expected an array {list(shape)}")
        if value.dtype != np.float64 or not np.isfinite(value).all():
            raise UserError(f"{key}: expected finite numbers, float64")
    if not (std > 0).all():
        raise UserError("std: expected positive numbers")

    def read_arrays(raw: Mapping[str, Any]) -> Arrays:
        (values,) = _select(raw, inputs).values()
        values = np.asarray(values, np.float64)
        if missing:
            values = np.where(np.isnan(values), mean, values)
        values = as_dtype(values, values.dtype, name, columns=columns)
        with np.errstate(over="ignore"):  # Infinity is an error of its own.
            return _cast({name: (values - mean) / std}, inputs, columns)

    def read_rows(rows: Sequence[Row]) -> Arrays:
        return read_arrays({name: _numbers(rows, columns, missing=missing)})

    return _by_form(arrays=read_arrays, rows=read_rows if columns else None)


def table(
    inputs: Inputs, columns: Sequence[str], encoding: Mapping[str, Any]
) -> Encode:
    """Rows of a table, encoded as by `Encoding.encode`.

    Arrays are those of its result, as in `Table.train`.

    Args:
      inputs: Shape and dtype of the encoded arrays of a row, by name.
      columns: Names of the encoded features.
      encoding: Encoding, as by `Encoding.to_dict`.
    """
    fitted = Encoding.from_dict(encoding)
    if (dict(inputs), tuple(columns)) != (fitted.inputs, fitted.features):
        raise UserError("encoding: expected one of the same inputs and columns")

    def read_arrays(raw: Mapping[str, Any]) -> Arrays:
        return _cast(_select(raw, inputs), inputs, columns)

    return _by_form(
        rows=lambda rows: read_arrays(fitted.encode(rows)), arrays=read_arrays
    )


def text(
    inputs: Inputs,
    columns: Sequence[str],
    tokenizer: Mapping[str, Any],
    column: str,
    begin: str | None = None,
    end: str | None = None,
    *,
    masked: bool = False,
) -> Encode:
    """Texts as token ids, as by `fdl.data.text.tokenizers.encode_texts`.

    Of arrays by name, the tokens are taken as they are; where there are none, the texts
    of ``column`` are encoded.

    Args:
      inputs: Shape [T] and dtype of the tokens of a text, by their name.
      columns: Not used: tokens have none.
      tokenizer: Tokenizer, as its ``spec``.
      column: Name of the texts among arrays by name, and in the columns of files.
      begin: Role of the special token in front of each text; or none.
      end: Role of the special token behind it; or none.
      masked: True if each text spells the special token ``mask`` once; all special
        tokens in a text are then recognised.
    """
    del columns
    name, made = _only(inputs), tokenizers.make(tokenizer)
    if masked:
        made = made._replace(encode=special_encoder(made))
    if not isinstance(column, str) or len(inputs[name].shape) != 1:
        raise UserError("expected the name of a column, and one axis of tokens")
    length, limits = inputs[name].shape[0], (0, made.vocab_size - 1)
    tokenizers.encode_texts(made, [], length, begin, end)  # Checks the roles.

    def read_texts(texts: Sequence[str]) -> Arrays:
        if not len(texts):
            raise UserError("expected one or more texts, got none")
        rows = tokenizers.encode_texts(made, texts, length, begin, end)
        if masked:
            _check_masks(rows, made)
        return _cast({name: rows}, inputs)

    def read_arrays(raw: Mapping[str, Any]) -> Arrays:
        if name not in raw and column in raw:
            return read_texts(raw[column])
        return _cast(_select(raw, inputs), inputs, limits=limits)

    return _by_form(texts=read_texts, arrays=read_arrays)


def _check_masks(rows: np.ndarray, tokenizer: tokenizers.Tokenizer) -> None:
    """Raises `UserError` unless each row has the special token ``mask`` once."""
    counts = (rows == tokenizers.role_id(tokenizer, "mask")).sum(axis=1)
    if (counts != 1).any():
        row = int(np.argmax(counts != 1))
        raise UserError(
            f"text {row + 1}: expected {tokenizer.spec['special']['mask']} once, in "
            f"the first {rows.shape[1]} tokens, got it {counts[row]} times"
        )


def _by_form(**readers: Callable[[Any], Arrays] | None) -> Encode:
    """Encoder that chooses a function by the form of the raw examples."""

    def encode(raw: Raw) -> Arrays:
        form = "rows"
        if _are_texts(raw):
            form = "texts"
        elif isinstance(raw, np.ndarray | jax.Array):
            form, raw = "pixels", np.asarray(raw)
        elif isinstance(raw, Mapping):
            form = "arrays"
        read = readers.get(form)
        if read is None:
            known = " or ".join(FORMS[key] for key, f in readers.items() if f)
            raise UserError(f"expected {known}, got {FORMS[form]}")
        return read(raw)

    return encode


def _are_texts(raw: Raw) -> bool:
    """True of a sequence of str, or an array of such objects."""
    if isinstance(raw, np.ndarray):
        return raw.dtype.kind == "U" or (raw.dtype.kind == "O" and is_text(raw))
    if isinstance(raw, Mapping | str) or not isinstance(raw, Sequence):
        return False
    return len(raw) > 0 and isinstance(raw[0], str)


def _select(raw: Mapping[str, Any], inputs: Inputs) -> Arrays:
    """Arrays of the inputs; `UserError` unless they are there in the right shape."""
    selected = {}
    for name, example in inputs.items():
        if name not in raw:
            raise UserError(f"{name!r}: expected an array. {near(name, raw)}")
        array = np.asarray(raw[name])
        if not array.ndim or not is_numeric(array.dtype) or array.dtype.kind == "c":
            shown = f"{array.dtype} {list(array.shape)}"
            raise UserError(f"{name!r} is {shown}: expected numbers [N, ...]")
        if array.shape[1:] != example.shape or not len(array):
            raise UserError(
                f"{name!r} is {list(array.shape[1:])} in each of {len(array)} "
                f"examples: expected {list(example.shape)} in one or more"
            )
        selected[name] = array
    lengths = {name: len(array) for name, array in selected.items()}
    if len(set(lengths.values())) > 1:
        raise UserError(f"expected arrays of equal length, got {lengths}")
    return selected


def _cast(
    arrays: Arrays,
    inputs: Inputs,
    columns: Sequence[str] = (),
    limits: tuple[float, float] | None = None,
) -> Arrays:
    """Arrays in the dtypes of the inputs; see `as_dtype`."""
    return {
        name: as_dtype(array, inputs[name].dtype, name, columns=columns, limits=limits)
        for name, array in arrays.items()
    }


def _only(inputs: Inputs) -> str:
    """Name of the only input."""
    if len(inputs) != 1:
        raise UserError(
            f"inputs: expected one array, got {', '.join(inputs) or 'none'}"
        )
    return next(iter(inputs))


def _numbers(
    rows: Sequence[Row], columns: Sequence[str], *, missing: bool = False
) -> np.ndarray:
    """Numbers of rows, float64 [N, F], with NaN for missing ones if there may be."""
    check_columns(rows, columns)
    numbers = np.empty((len(rows), len(columns)))
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            text = "" if row[column] is None else str(row[column]).strip()
            if is_number(text):
                numbers[i, j] = float(text)
            elif missing and text in MISSING:
                numbers[i, j] = math.nan
            else:
                raise UserError(
                    f"row {i + 1}, column {column!r}: expected a number, got {text!r}"
                )
    return numbers
