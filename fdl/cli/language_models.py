"""Trained language models, with their tokenizers."""

import argparse
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from fdl.cli.console import warn
from fdl.data.preprocessing import Preprocessing, tokenizer_of
from fdl.data.text.tokenizers import Tokenizer, role_id
from fdl.errors import UserError, shown
from fdl.generation.published import sampling, stop_tokens
from fdl.models import GPT, Llama
from fdl.runs.trained_model import TrainedModel, load_trained
from fdl.types import NOTHING, Model, Variables

MAX_WINDOW = 2048  # Of a published model, whose attention may reach much farther.


class LanguageModel(NamedTuple):
    """Trained language model.

    Attributes:
      model: Model.
      variables: Its variables.
      tokenizer: Its tokenizer.
      begin: Role of the special token in front of each text, or None.
      end: Role of the special token behind it, or None.
      column: Name of the texts in files.
      window: Number of tokens that the model is given at once.
      stop_tokens: Ids of the tokens that end a text.
      sampling: Options of sampling that a published model is meant for, by name.
      chat_template: Template of a conversation, or None.
    """

    model: Model
    variables: Variables
    tokenizer: Tokenizer
    begin: str | None
    end: str | None
    column: str
    window: int
    stop_tokens: tuple[int, ...]
    sampling: Mapping[str, float] = NOTHING
    chat_template: str | None = None


def load_language_model(options: argparse.Namespace, seed: int | None) -> LanguageModel:
    """Loads the language model of a run, an export or a published folder.

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
    if trained.published is not None:
        return _published(trained, options.workdir)
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
    encode, tokenizer = preprocessing.encode, tokenizer_of(preprocessing)
    special = tokenizer.special
    ends = {special[role] for role in (encode["end"], "eos") if role in special}
    return LanguageModel(
        trained.model,
        trained.variables,
        tokenizer,
        encode["begin"],
        encode["end"],
        encode["column"],
        max(1, tokens.shape[0] - 1),
        tuple(sorted(ends)),
    )


def _published(trained: TrainedModel, place: str) -> LanguageModel:
    """Language model of a published folder."""
    published = trained.published
    assert published is not None
    module, tokenizer = published.model.module, published.tokenizer
    if not isinstance(module, GPT | Llama):
        raise UserError(
            f"{place} is no language model: expected a GPT or Llama that continues a "
            f"text, got {shown(trained.name)}"
        )
    if tokenizer is None:
        raise UserError(
            f"{place}: expected a tokenizer.json; AutoTokenizer.from_pretrained(DIR)"
            ".save_pretrained(DIR) of transformers makes one of a tokenizer of old"
        )
    return LanguageModel(
        published.model,
        published.variables,
        tokenizer,
        published.begin,
        published.end,
        "text",
        min(module.max_length, MAX_WINDOW),
        stop_tokens(published),
        sampling(published),
        published.chat_template,
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
