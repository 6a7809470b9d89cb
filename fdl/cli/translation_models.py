"""Trained models that translate, alone or as an ensemble, with their tokenizers."""

import argparse
from typing import Any, NamedTuple

from fdl import generation
from fdl.cli.console import warn
from fdl.data.preprocessing import Preprocessing, tokenizer_of
from fdl.data.text.tokenizers import Tokenizer, make
from fdl.errors import UserError
from fdl.runs.trained_model import ability, load_trained


class TranslationModel(NamedTuple):
    """Trained encoder-decoder, or an ensemble of several.

    Attributes:
      decoder: Decoder.
      variables: Variables of its model; of an ensemble, of each.
      tokenizer: Tokenizer of the sources.
      target_tokenizer: Tokenizer of the translations.
      begin: Role of the special token that a translation begins with.
      end: Role of the special token behind sources and translations.
      column: Name of the sources in files.
      max_length: Number of tokens of the longest source that it was trained on.
      num_beams: Number of hypotheses of the search.
      alpha: Exponent of its length penalty.
      max_extra: Number of tokens that a translation may be longer than its source.
    """

    decoder: generation.Decoder
    variables: Any
    tokenizer: Tokenizer
    target_tokenizer: Tokenizer
    begin: str
    end: str
    column: str
    max_length: int
    num_beams: int
    alpha: float
    max_extra: int


def load_translation_model(options: argparse.Namespace) -> TranslationModel:
    """Loads the model of a run or an export, and those of further ones beside it.

    Args:
      options: Options of `add_run`, `add_checkpoint` and `add_average`, with
        ``run_seed`` and ``others``, directories of further runs or exports.

    Raises:
      UserError: One cannot translate, or has other tokenizers than the first.
    """
    first = _load(options, options.workdir, options.experiment)
    models = [first]
    for path in options.others:
        models.append(_load(options, path, None))
        for field in ("tokenizer", "target_tokenizer"):
            if getattr(models[-1], field).spec != getattr(first, field).spec:
                raise UserError(
                    f"{path} has another {field} than {options.workdir}: expected the "
                    "same in an ensemble"
                )
    if len(models) == 1:
        return first
    return first._replace(
        decoder=generation.ensemble([model.decoder for model in models]),
        variables=[model.variables for model in models],
    )


def _load(
    options: argparse.Namespace, path: str, experiment_file: str | None
) -> TranslationModel:
    """Model of one run or export."""
    trained = load_trained(
        path,
        checkpoint=options.checkpoint,
        average=options.average,
        seed=options.run_seed,
        experiment_file=experiment_file,
        warn=warn,
    )
    asked = ability(trained, "translate", path)
    preprocessing, spec = asked.inputs, asked.spec or {}
    if (
        trained.model is None
        or not isinstance(preprocessing, Preprocessing)
        or spec.get("name") != "translator"
    ):
        raise UserError(
            f"{path}: expected an ability translate of fdl.evaluation.translator"
        )
    (tokens,) = preprocessing.inputs.values()
    tokenizer, target = tokenizer_of(preprocessing), spec["target_tokenizer"]
    return TranslationModel(
        generation.decoder(trained.model),
        trained.variables,
        tokenizer,
        tokenizer if target is None else make(target),
        spec["begin"],
        preprocessing.encode["end"] or "eos",
        preprocessing.encode["column"],
        tokens.shape[0],
        spec["num_beams"],
        spec["alpha"],
        spec["max_extra"],
    )
