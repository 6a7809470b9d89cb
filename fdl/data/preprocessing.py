"""Preprocessing as data: from raw examples to the inputs of a model.

It has two steps. ``encode`` runs on the host, in NumPy, once for each example;
``preprocess`` runs on the device, in JAX, on every batch. Training, evaluation and
prediction share both. Augmentation is random and belongs to the training objective.

A `Preprocessing` only names functions, those of `fdl.data.encoders` and
`fdl.data.preprocessors`, and holds their arguments: `fdl.data.preprocessing_files`
stores it beside a trained model, which so needs no data set.
"""

from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fdl import config
from fdl.data import encoders, preprocessors
from fdl.data.statistics import mean_and_std
from fdl.data.tabular.encoding import Encoding
from fdl.data.text.tokenizers import Tokenizer, encode_texts, make
from fdl.errors import UserError, near
from fdl.types import Batch

Arrays = dict[str, np.ndarray]


class Preprocessing(NamedTuple):
    """Preprocessing of the inputs of a model, made of data only.

    Attributes:
      encode: ``name`` of a function of `fdl.data.encoders`, and its arguments: plain
        values and arrays.
      preprocess: The same, of `fdl.data.preprocessors`.
      inputs: Shape and dtype of the encoded arrays of one example, by name, as the
        training data stores them.
      columns: Names of the last axis of an input [N, F]; empty if unknown.
    """

    encode: Mapping[str, Any]
    preprocess: Mapping[str, Any]
    inputs: Mapping[str, jax.ShapeDtypeStruct]
    columns: tuple[str, ...] = ()


def images(
    shape: Sequence[int],
    dtype: Any = "uint8",
    *,
    white: float = 255,
    name: str = "image",
    resample: str = "box",
) -> Preprocessing:
    """Images that the data stores from 0 to ``white``, scaled to [0, 1] on the device.

    Args:
      shape: Height, width and number of channels.
      dtype: Dtype in the data; bytes take a quarter of the memory of floats.
      white: Value of a white pixel in the data.
      name: Name of the images in a batch.
      resample: Filter by which files are resized, as of Pillow: "box", "bilinear",
        "bicubic", ... Files that are smaller are interpolated bilinearly for "box".

    Example:
      >>> digits = images((1, 2, 1), white=16)
      >>> arrays = encoder(digits)(np.array([[[[0.0], [0.25]]]]))  # As of a file.
      >>> arrays["image"].ravel()
      array([0, 4], dtype=uint8)
      >>> preprocessor(digits)(arrays)["image"].ravel().tolist()
      [0.0, 0.25]
    """
    if not white > 0:
        raise UserError(f"white={white}: expected a positive number")
    return Preprocessing(
        encode={"name": "images", "white": white, "resample": resample},
        preprocess={"name": "scale", "factors": {name: 1 / white}},
        inputs={name: jax.ShapeDtypeStruct(tuple(shape), jnp.dtype(dtype))},
    )


def features(
    train: np.ndarray,
    *,
    name: str = "features",
    columns: Sequence[str] = (),
    missing: bool = False,
) -> Preprocessing:
    """Standardisation by the mean and standard deviation of the training data.

    A feature that is constant in the training data is only shifted.

    Args:
      train: Features of the training data, [N, ...].
      name: Name of the features in a batch.
      columns: Names of the columns of features [N, F].
      missing: True if NaN is a missing value: it does not count for the statistics, and
        becomes the mean.

    Raises:
      UserError: The features are not finite, or the columns are not as many.

    Example:
      >>> preprocessing = features(np.array([[1.0], [3.0]]), columns=["age"])
      >>> encoder(preprocessing)([{"age": "4"}])
      {'features': array([[2.]], dtype=float32)}
    """
    values = np.asarray(train, np.float64)
    if not np.isfinite(values[~np.isnan(values)] if missing else values).all():
        raise UserError(f"{name!r}: expected finite numbers, got some that are not")
    mean, std = map(np.asarray, mean_and_std(values))
    preprocessing = Preprocessing(
        encode={"name": "features", "mean": mean, "std": std, "missing": missing},
        preprocess={"name": "identity"},
        inputs={name: jax.ShapeDtypeStruct(mean.shape, np.dtype("float32"))},
        columns=tuple(map(str, columns)),
    )
    encoder(preprocessing)  # Raises for the wrong number of columns.
    return preprocessing


def table(encoding: Encoding) -> Preprocessing:
    """Rows of a table, of numbers and of text, encoded as by `Encoding.encode`."""
    return Preprocessing(
        encode={"name": "table", "encoding": encoding.to_dict()},
        preprocess={"name": "identity"},
        inputs=encoding.inputs,
        columns=encoding.features,
    )


def text(
    tokenizer: Tokenizer,
    max_length: int,
    begin: str | None = None,
    end: str | None = None,
    *,
    column: str = "text",
    name: str = "tokens",
    masked: bool = False,
) -> Preprocessing:
    """Texts as token ids, in rows of one length, padded on the right.

    A text that is too long is cut at its end; the special token at the end stays. An
    empty text has the special tokens and padding alone.

    Args:
      tokenizer: Tokenizer, which declares the special token ``pad``.
      max_length: Length T of a row, with the special tokens.
      begin: Role of the special token in front of each text, such as "cls"; or none.
      end: Role of the special token behind it, such as "sep"; or none.
      column: Name of the texts in the data, and in the columns of files.
      name: Name of the tokens in a batch, int32 [N, T].
      masked: True if each text spells the special token ``mask`` once, to be filled in;
        all special tokens in a text are then recognised.

    Raises:
      UserError: The tokenizer declares no such special token, or rows are too short.

    Example:
      >>> from fdl.data.text.tokenizers import characters
      >>> questions = text(characters("abc", ["pad", "cls"]), 4, begin="cls")
      >>> encoder(questions)(["ab", "", "abcabc"])["tokens"]
      array([[4, 0, 1, 3],
             [4, 3, 3, 3],
             [4, 0, 1, 2]], dtype=int32)
    """
    encode_texts(tokenizer, [], max_length, begin, end)  # Checks the arguments.
    return Preprocessing(
        encode={
            "name": "text",
            "tokenizer": tokenizer.spec,
            "column": column,
            "begin": begin,
            "end": end,
            "masked": masked,
        },
        preprocess={"name": "identity"},
        inputs={name: jax.ShapeDtypeStruct((max_length,), np.dtype("int32"))},
    )


def tokenizer_of(preprocessing: Preprocessing) -> Tokenizer:
    """Tokenizer of a preprocessing of texts.

    Raises:
      UserError: Its inputs are no texts.
    """
    if preprocessing.encode.get("name") != "text":
        raise UserError("expected a preprocessing of texts, which has a tokenizer")
    return make(preprocessing.encode["tokenizer"])


def arrays(**inputs: jax.ShapeDtypeStruct) -> Preprocessing:
    """Arrays that the model takes as they are.

    Args:
      **inputs: Shape and dtype of one example, by name of the array.

    Example:
      >>> encode = encoder(arrays(token=jax.ShapeDtypeStruct((2,), np.int32)))
      >>> encode({"token": [[5, 7]], "other": [0]})
      {'token': array([[5, 7]], dtype=int32)}
    """
    return Preprocessing({"name": "arrays"}, {"name": "identity"}, inputs)


def encoder(preprocessing: Preprocessing) -> Callable[[encoders.Raw], Arrays]:
    """Encoder of raw examples as the arrays of the training data.

    Args:
      preprocessing: Preprocessing of a model.

    Returns:
      A function of raw examples, whose forms `fdl.data.encoders` describes, to the
      arrays [N, ...] of ``preprocessing.inputs``. It raises a `UserError` if they are
      not of the right shape, dtype and range, or not finite.

    Raises:
      UserError: There is no such encoder, or its arguments are not valid.
    """
    inputs, columns = preprocessing.inputs, preprocessing.columns
    shapes = [example.shape for example in inputs.values()]
    if columns and (len(columns),) not in shapes:
        raise UserError(
            f"columns: expected one name for each of the inputs {shapes}, got "
            f"{len(columns)}"
        )
    # The fields come last, so that no argument of that name replaces them.
    fields = {"inputs": inputs, "columns": columns}
    return _make(encoders, {**preprocessing.encode, **fields})


def preprocessor(preprocessing: Preprocessing) -> Callable[[Batch], Batch]:
    """Preprocessor of batches on the device, as for `fdl.data.transform`.

    Args:
      preprocessing: Preprocessing of a model.

    Returns:
      A function of a batch to a batch, which JAX can trace. Arrays that are no inputs
      stay as they are.

    Raises:
      UserError: There is no such function, or its arguments are not valid.
    """
    return _make(preprocessors, preprocessing.preprocess)


def standardize(train: Arrays, *others: Arrays, name: str = "features") -> list[Arrays]:
    """Standardises a feature by the mean and standard deviation of the training data.

    A feature that is constant in the training data is only shifted.

    Args:
      train: Arrays by name, from whose ``name``, float [N, ...], the statistics are
        computed.
      *others: Further arrays to standardise by the same statistics.
      name: Name of the feature.

    Returns:
      All of them with ``name`` replaced, float32; the arguments are not changed.

    Raises:
      UserError: There is no such feature, or it is not finite.

    Example:
      >>> train = {"features": np.array([[1.0], [3.0]])}
      >>> test = {"features": np.array([[4.0]])}
      >>> standardize(train, test)[1]["features"]
      array([[2.]], dtype=float32)
    """
    if name not in train:
        raise UserError(f"name={name!r}: expected an array. {near(name, train)}")
    encode = encoder(features(train[name], name=name))
    return [{**arrays, **encode(arrays)} for arrays in (train, *others)]


def _make(module: ModuleType, spec: Mapping[str, Any]) -> Callable[..., Any]:
    """Result of a function that a module lists as its own; see `fdl.config.make`."""
    # Names that the module has merely imported cannot be called from a file.
    name = spec.get("name")
    if not isinstance(name, str) or name not in module.__all__:
        hint = near(str(name)[:50], module.__all__)
        raise UserError(f"{module.__name__} has no {name!r:.50}. {hint}")
    return config.make(module, spec)
