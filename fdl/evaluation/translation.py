"""Translation as an ability of a trained model."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from fdl.data.preprocessing import Preprocessing, preprocessor, tokenizer_of
from fdl.data.text.tokenizers import make, role_id
from fdl.evaluation.predictors import only_input
from fdl.generation.beam import Search, gnmt, search
from fdl.generation.decoder import decoder
from fdl.types import Ability, Array, Key, Model, Variables


def translator(
    model: Model,
    preprocessing: Preprocessing,
    *,
    inputs: str | None = None,
    target_tokenizer: Mapping[str, Any] | None = None,
    begin: str = "bos",
    num_beams: int = 4,
    alpha: float = 0.6,
    max_extra: int = 50,
) -> Ability:
    """Translation by beam search: ``tokens``, [B, T], ``length`` and ``score``, [B].

    `fdl.generation.translate` does the same for texts of any length.

    Args:
      model: Model of a `Transformer` or a `Seq2Seq`.
      preprocessing: Preprocessing of the sources, as by `fdl.data.preprocessing.text`,
        whose ``end`` is also the role of the end token of translations.
      inputs: Name of the token ids of the source. Default: the only input.
      target_tokenizer: ``spec`` of the tokenizer of translations. Default: that of the
        preprocessing.
      begin: Role of the special token that a translation begins with.
      num_beams: Number of hypotheses; see `fdl.generation.beam_search`.
      alpha: Exponent of the length penalty; see `fdl.generation.gnmt`.
      max_extra: Number of tokens that a translation may have beyond the length of a row
        of sources.

    Raises:
      UserError: The model is none of these, or a tokenizer lacks a special token.
    """
    name, preprocess = only_input(preprocessing, inputs), preprocessor(preprocessing)
    tokenizer = tokenizer_of(preprocessing)
    target = tokenizer if target_tokenizer is None else make(target_tokenizer)
    pad, start = role_id(tokenizer, "pad"), role_id(target, begin)
    stop = role_id(target, preprocessing.encode["end"] or "eos")
    max_tokens = preprocessing.inputs[name].shape[0] + max_extra
    how = Search(
        decoder(model), num_beams, max_tokens, (stop,), gnmt(alpha), target.vocab_size
    )

    def translate(variables: Variables, inputs: Mapping[str, Array], key: Key):
        del key
        source = preprocess(inputs)[name]
        mask = source != pad
        source = jnp.where(mask, source, 0)
        prompts = jnp.full((len(source), 1), start, jnp.int32)
        is_token = jnp.ones(prompts.shape, bool)
        beams = search(how, variables, prompts, is_token, (source, mask))
        return {
            "tokens": beams.tokens[:, 0],
            "length": beams.lengths[:, 0],
            "score": beams.scores[:, 0],
        }

    spec = {
        "name": "translator",
        "inputs": inputs,
        "target_tokenizer": None if target_tokenizer is None else {**target_tokenizer},
        "begin": begin,
        "num_beams": num_beams,
        "alpha": alpha,
        "max_extra": max_extra,
    }
    names: Mapping[str, tuple] = {"tokens": (), "length": (), "score": ()}
    return Ability(translate, preprocessing, names, spec)
