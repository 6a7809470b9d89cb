"""Trained language models, with their tokenizers."""

import argparse
from typing import NamedTuple

import numpy as np

from fdl.cli.console import warn
from fdl.data.preprocessing import Preprocessing, tokenizer_of
from fdl.data.text.tokenizers import Tokenizer, role_id
from fdl.errors import UserError
from fdl.runs.trained_model import load_trained
from fdl.types import Model, Variables


class LanguageModel(NamedTuple):
    """Trained language model.

    Attributes:
      model: Model.
      variables: Its variables.
      tokenizer: Tokenizer of its ability ``score``.
      begin: Role of the special token in front of each text, or None.
      end: Role of the special token behind it, or None.
      column: Name of the texts in files.
      window: Number of tokens that the model is given at once.
    """

    model: Model
    variables: Variables
    tokenizer: Tokenizer
    begin: str | None
    end: str | None
    column: str
    window: int


def load_language_model(options: argparse.Namespace, seed: int | None) -> LanguageModel:
    """Loads the language model of a run or an export.

    Args:
      options: Options of `add_run` and `add_checkpoint`.
      seed: One of the seeds of the run; None for its first.

    Raises:
      UserError: There is none, or it is not the model of texts alone.
    """
    trained = load_trained(
        options.workdir,
        checkpoint=options.checkpoint,
        seed=seed,
        experiment_file=options.experiment,
        warn=warn,
    )
    if "score" not in trained.abilities:
        known = ", ".join(trained.abilities) or "none"
        raise UserError(
            f"{options.workdir} is no language model: expected the ability score; its "
            f"abilities: {known}"
        )
    preprocessing = trained.abilities["score"].inputs
    if trained.model is None or not isinstance(preprocessing, Preprocessing):
        raise UserError(f"{options.workdir}: expected a single model of texts")
    (tokens,) = preprocessing.inputs.values()
    encode = preprocessing.encode
    return LanguageModel(
        trained.model,
        trained.variables,
        tokenizer_of(preprocessing),
        encode["begin"],
        encode["end"],
        encode["column"],
        max(1, tokens.shape[0] - 1),
    )


def encode_whole(language: LanguageModel, text: str, name: str) -> np.ndarray:
    """Token ids of a text, however long, with its special tokens, int32 [T].

    Raises:
      UserError: The tokenizer does not know a part of it; the error begins with `name`.
    """
    front, back = (
        [] if role is None else [role_id(language.tokenizer, role)]
        for role in (language.begin, language.end)
    )
    try:
        ids = language.tokenizer.encode(text)
    except UserError as error:
        raise UserError(f"{name}: {error}") from None
    return np.concatenate([front, ids, back]).astype(np.int32)
