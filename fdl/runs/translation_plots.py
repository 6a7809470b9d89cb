"""Plots of a model that translates: what it attends to."""

from collections.abc import Iterator

import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from fdl import generation, plots
from fdl.data.preprocessing import tokenizer_of
from fdl.data.text.tokenizers import Tokenizer, make, role_id
from fdl.runs.language_plots import attention_weights, token_texts
from fdl.types import Experiment, Variables

LENGTH = 16  # Tokens of the sentence that is drawn, or as near to it as there are.


def figures(
    experiment: Experiment, variables: Variables, title: str
) -> Iterator[tuple[str, Figure]]:
    """Figures of a translation model by name: cross-attention of one sentence.

    The sentence is the one of the first batch of its examples which is nearest to 16
    tokens. Its translation is that of the model.

    Args:
      experiment: Experiment of an encoder-decoder with examples and an ability
        ``translate`` of `fdl.evaluation.translator`; of another there are none.
      variables: Variables of the trained model, of one seed.
      title: Title of all figures: experiment, seed and step.
    """
    model, ability = experiment.model, experiment.abilities["translate"]
    examples, spec = experiment.examples, ability.spec or {}
    assert model is not None and examples is not None  # As the caller has checked.
    if spec.get("name") != "translator":  # It is not known how it translates.
        return
    tokenizer, encode = tokenizer_of(ability.inputs), ability.inputs.encode
    target = make(spec["target_tokenizer"] or encode["tokenizer"])
    end, begin = encode["end"] or "eos", spec["begin"]
    batches = examples.batches
    batch = batches.take(batches.data, next(batches.stream(0)))
    text = _sentence(np.asarray(batch["source"]), tokenizer, role_id(tokenizer, end))
    ((best,),) = generation.translate(
        generation.decoder(model),
        variables,
        [text],
        tokenizer,
        target_tokenizer=target,
        begin=begin,
        end=end,
        num_beams=spec["num_beams"],
        length_penalty=generation.gnmt(spec["alpha"]),
        max_extra=spec["max_extra"],
    )
    source = [*tokenizer.encode(text), role_id(tokenizer, end)]
    # What is attended to when a token is made, with the end.
    inputs = [role_id(target, begin), *best.tokens]
    weights = attention_weights(
        model,
        variables,
        jnp.array([source], jnp.int32),
        jnp.array([inputs], jnp.int32),
        layer="cross_attention",
    )
    if weights:
        made = np.append(best.tokens, role_id(target, end))
        yield (
            "cross_attention",
            plots.attention_maps(
                weights,
                _named(target, made, end),
                keys=_named(tokenizer, np.array(source), end),
                title=title,
            ),
        )


def _sentence(rows: np.ndarray, tokenizer: Tokenizer, end: int) -> str:
    """Text of the row whose length is the nearest to `LENGTH`."""
    lengths = (rows == end).argmax(axis=1)
    row = np.abs(lengths - LENGTH).argmin()
    return tokenizer.decode(rows[row, : lengths[row]])


def _named(tokenizer: Tokenizer, tokens: np.ndarray, end: str) -> list[str]:
    """Text of each token, of the last one its role."""
    return [*token_texts(tokenizer, tokens[:-1]), f"<{end}>"]
