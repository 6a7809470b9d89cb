"""Files of a preprocessing: JSON, and npz for its arrays."""

import io
import json
import math
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fdl.data.npz_files import load_npz
from fdl.data.preprocessing import Preprocessing, encoder, preprocessor
from fdl.data.sources import is_numeric
from fdl.errors import UserError
from fdl.files import read_json, read_text, write_bytes

FORMAT = 1
TEXT_FILE, ARRAY_FILE = "preprocessing.json", "preprocessing.npz"
TOKENIZER_FILE = "tokenizer.json"  # Of Hugging Face, in their format.
MAX_BYTES = 64 << 20  # Of the arrays; one example has no more elements.
PARTS = ("encode", "preprocess")


def to_files(preprocessing: Preprocessing, folder: str | os.PathLike) -> None:
    """Writes a preprocessing to a folder; `from_files` returns it bit for bit.

    Args:
      preprocessing: Preprocessing of a model.
      folder: Folder, which is made if necessary. Files in it are replaced.

    Raises:
      UserError: The preprocessing is not valid.
    """
    _check(preprocessing)
    folder = pathlib.Path(folder)
    specs: dict[str, dict[str, Any]] = {part: {} for part in PARTS}
    arrays = {}
    for part in PARTS:
        for key, value in getattr(preprocessing, part).items():
            if isinstance(value, np.ndarray):
                arrays[f"{part}.{key}"] = value
            else:
                specs[part][key] = value
    tokenizer = specs["encode"].get("tokenizer")
    published = ""
    if isinstance(tokenizer, Mapping) and "json" in tokenizer:
        rest = {key: value for key, value in tokenizer.items() if key != "json"}
        specs["encode"]["tokenizer"] = {**rest, "file": TOKENIZER_FILE}
        published = tokenizer["json"]
    inputs = {
        name: {"shape": example.shape, "dtype": jnp.dtype(example.dtype).name}
        for name, example in preprocessing.inputs.items()
    }
    content = {
        "format": FORMAT,
        **specs,
        "arrays": [*arrays],
        "inputs": inputs,
        "columns": preprocessing.columns,
    }
    folder.mkdir(parents=True, exist_ok=True)
    # The JSON file comes last, so that where it is, all is.
    if arrays:
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **arrays)
        write_bytes(folder / ARRAY_FILE, buffer.getvalue())
    if published:
        write_bytes(folder / TOKENIZER_FILE, published.encode())
    text = json.dumps(content, indent=1, allow_nan=False)
    write_bytes(folder / TEXT_FILE, f"{text}\n".encode())


def from_files(folder: str | os.PathLike) -> Preprocessing:
    """Reads a preprocessing from a folder that `to_files` wrote.

    The files may come from anywhere: no code in them is run, and they name nothing but
    the functions of `fdl.data.encoders` and `fdl.data.preprocessors`.

    Args:
      folder: Folder.

    Raises:
      UserError: A file is missing, damaged, too large or of another format.
    """
    folder = pathlib.Path(folder)
    path = folder / TEXT_FILE
    content = read_json(path)
    if content.get("format") != FORMAT:
        shown = repr(content.get("format"))
        raise UserError(f"{path}: format={shown:.20}: expected {FORMAT}")
    try:
        specs = {part: dict(content[part]) for part in PARTS}
        inputs = {name: array_spec(**v) for name, v in content["inputs"].items()}
        columns = tuple(map(str, content["columns"]))
        names = [str(name) for name in content["arrays"]]
        targets = [(specs[name.partition(".")[0]], name) for name in names]
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise UserError(f"{path}: expected a preprocessing, as fdl writes it") from None
    if names:
        arrays = load_npz(folder / ARRAY_FILE, names, max_bytes=MAX_BYTES)
        for spec, name in targets:
            spec[name.partition(".")[2]] = arrays[name]
    tokenizer = specs["encode"].get("tokenizer")
    if isinstance(tokenizer, dict) and tokenizer.pop("file", None) == TOKENIZER_FILE:
        tokenizer["json"] = read_text(folder / TOKENIZER_FILE)
    preprocessing = Preprocessing(**specs, inputs=inputs, columns=columns)
    try:
        _check(preprocessing)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    return preprocessing


def _check(preprocessing: Preprocessing) -> None:
    """Raises `UserError` unless the functions of a preprocessing can be made."""
    encoder(preprocessing)
    preprocessor(preprocessing)


def array_spec(shape: list[int], dtype: str) -> jax.ShapeDtypeStruct:
    """Shape and dtype from JSON; `TypeError` or `ValueError` if they are not valid."""
    # NumPy parses dtypes of other texts, such as those of records.
    if not dtype.isidentifier() or not is_numeric(jnp.dtype(dtype)):
        raise ValueError("dtype: expected one of numbers")
    if jnp.issubdtype(jnp.dtype(dtype), jnp.complexfloating):
        raise ValueError("dtype: expected one of real numbers")
    valid = all(isinstance(n, int) and 0 <= n <= MAX_BYTES for n in shape)
    if not valid or len(shape) > 32 or math.prod(shape) > MAX_BYTES:
        raise ValueError(f"shape: expected at most {MAX_BYTES} elements")
    return jax.ShapeDtypeStruct(tuple(shape), jnp.dtype(dtype))
