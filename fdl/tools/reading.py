"""New examples, read from files: images, tables, arrays."""

import csv
import math
import pathlib
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fdl.data import read_csv
from fdl.errors import UserError, near


def images(
    paths: Sequence[pathlib.Path],
    shape: Sequence[int],
    *,
    invert: bool = False,
) -> np.ndarray:
    """Reads images and brings them to one size.

    They are turned as their camera says, made grey (ITU-R 601) or RGB, as the shape has
    one channel or three, and resized to it without regard to their proportions: large
    ones by the mean of the pixels that become one, others by bilinear interpolation.
    What is transparent becomes white.

    Args:
      paths: Files in any format that Pillow reads, PNG and JPEG among them.
      shape: Height, width and channels.
      invert: Whether to swap black and white, for dark ink where the data has light.

    Returns:
      Float32 [N, H, W, C], from black, 0, to white, 1.

    Raises:
      UserError: A file is no image, or the shape is that of none.
    """
    from PIL import Image, ImageOps

    if len(shape) != 3 or shape[-1] not in (1, 3):
        raise UserError(
            f"the model takes {list(shape)}, which is no image of one channel or "
            "three: give it an npz file"
        )
    height, width, channels = shape
    found = []
    for path in paths:
        try:
            with Image.open(path) as opened:
                image = _eight_bits(path, ImageOps.exif_transpose(opened))
        except FileNotFoundError:
            raise UserError(f"there is no file {path}") from None
        except UserError:
            raise
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            raise UserError(f"{path} is no image, or a damaged one") from None
        paper = Image.new("RGBA", image.size, "white")
        flat = Image.alpha_composite(paper, image.convert("RGBA")).convert("RGB")
        flat = flat.convert("L") if channels == 1 else flat
        larger = flat.width >= width and flat.height >= height
        kind = Image.Resampling.BOX if larger else Image.Resampling.BILINEAR
        small = flat.resize((width, height), kind)
        found.append(np.asarray(small, np.float32).reshape(shape))
    pixels = np.stack(found) / 255
    return 1 - pixels if invert else pixels


def table(
    path: pathlib.Path, num_columns: int, columns: Sequence[str] = ()
) -> np.ndarray:
    """Reads the numbers of a CSV file.

    Args:
      path: UTF-8, comma-separated, one example a line.
      num_columns: How many numbers an example has.
      columns: Their names, if known: then there has to be a header with all of them, in
        any order, and what else it has is ignored. Otherwise there are these columns
        and no others, below a header or none.

    Returns:
      Float64 [N, num_columns].

    Raises:
      UserError: A column is missing, or a text is where a number belongs.
    """
    rows = _rows(path)
    names = [name.strip() for name in rows[0][1]]
    if columns:
        for column in columns:
            if column not in names:
                raise UserError(
                    f"{path} has no column {column!r}. {near(column, names)}"
                )
        places = [names.index(column) for column in columns]
        rows = rows[1:]
    else:
        if len(names) != num_columns:
            raise UserError(
                f"{path} has {len(names)} columns, but the model takes {num_columns}"
            )
        places = list(range(num_columns))
        headed = all(_number(name) is None for name in names)
        names, rows = (
            (names, rows[1:])
            if headed
            else ([str(place + 1) for place in places], rows)
        )
    if not rows:
        raise UserError(f"{path} has no examples")
    return np.array([_numbers(path, names, places, *row) for row in rows])


def encoded(
    path: pathlib.Path, encode: Callable[[Sequence[Mapping[str, Any]]], np.ndarray]
) -> np.ndarray:
    """Reads the rows of a CSV file, of numbers and of text.

    Args:
      path: The file, whose first line names its columns.
      encode: Makes inputs [N, ...] of rows, dicts of text by the name of the column.

    Raises:
      UserError: It is no such file, or its rows are not what ``encode`` expects.
    """
    found = read_csv(path)
    try:
        return encode(found)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def arrays(path: pathlib.Path, name: str) -> np.ndarray:
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


def fitted(inputs: np.ndarray, dtype: np.dtype, name: str) -> np.ndarray:
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


def _eight_bits(path: pathlib.Path, image: Any) -> Any:
    """A grey image of 16 bits in 8: Pillow would take all above 255 for white."""
    from PIL import Image

    if image.mode.startswith("I;16"):
        return Image.fromarray(np.uint8(np.rint(np.asarray(image) / 257)))
    if image.mode in ("I", "F"):
        raise UserError(
            f"{path} has pixels of 32 bits: what is white there is not known. Give it "
            "an npz file"
        )
    return image


def _rows(path: pathlib.Path) -> list[tuple[int, list[str]]]:
    """The lines that are not empty, with their numbers."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            rows = [(reader.line_num, row) for row in reader if any(row)]
    except FileNotFoundError:
        raise UserError(f"there is no file {path}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is no CSV file: {error}") from None
    if not rows:
        raise UserError(f"{path} is empty")
    return rows


def _numbers(path, names, places, line: int, row: Sequence[str]) -> list[float]:
    if len(row) != len(names):
        raise UserError(
            f"{path}, line {line}: {len(row)} values, expected {len(names)}"
        )
    values = []
    for place in places:
        number = _number(row[place])
        if number is None:
            text = row[place].strip()
            what = f"{text!r} is no number" if text else "the value is missing"
            raise UserError(f"{path}, line {line}, column {names[place]!r}: {what}")
        values.append(number)
    return values


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
