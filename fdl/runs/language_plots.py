"""Plots of a language model on a held-out text."""

from collections.abc import Iterator, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from fdl import losses, plots
from fdl.data.text.tokenizers import Tokenizer, make
from fdl.types import INTERMEDIATES, Array, Experiment, Model, Variables

MAX_WINDOWS = 256
MAX_ATTENTION = 32  # Tokens of an attention map.


def figures(
    experiment: Experiment, variables: Variables, title: str
) -> Iterator[tuple[str, Figure]]:
    """Figures of a language model by name, on the first windows of its examples.

    Args:
      experiment: Experiment of a language model with examples and an ability ``score``.
      variables: Variables of the trained model, of one seed.
      title: Title of all figures: experiment, seed and step.
    """
    examples, model = experiment.examples, experiment.model
    assert examples is not None and model is not None  # As the caller has checked.
    batches = examples.batches
    batch = jax.jit(batches.take)(batches.data, next(batches.stream(0)))
    tokens = batch["tokens"][:MAX_WINDOWS]
    nats = np.array(_losses(model, variables, tokens))
    if "mask" in batch:
        nats[np.asarray(batch["mask"])[:MAX_WINDOWS, 1:] == 0] = np.nan
    yield "loss_by_position", plots.loss_by_position(nats, title=title)
    texts = token_texts(
        make(experiment.abilities["score"].inputs.encode["tokenizer"]),
        np.asarray(tokens[:, 1:]).ravel(),
    )
    known = ~np.isnan(nats.ravel())
    shown = [text for text, is_known in zip(texts, known, strict=True) if is_known]
    yield "surprise", plots.token_surprise(shown, nats.ravel()[known], title=title)
    first = tokens[:1, 1 : MAX_ATTENTION + 1]
    weights = attention_weights(model, variables, first)
    if weights:
        yield (
            "attention",
            plots.attention_maps(weights, texts[: first.shape[1]], title=title),
        )


def token_texts(tokenizer: Tokenizer, tokens: np.ndarray) -> list[str]:
    """Text of each token by itself; that of a special token is empty.

    Args:
      tokenizer: Tokenizer.
      tokens: Token ids, int [T].
    """
    different, inverse = np.unique(tokens, return_inverse=True)
    texts = [tokenizer.decode([token]) for token in different]
    return [texts[i] for i in inverse]


def attention_weights(
    model: Model, variables: Variables, *inputs: Array, layer: str = "attention"
) -> Sequence[np.ndarray]:
    """Attention weights of each layer on one text, float [N, T, S] each.

    Args:
      model: Model of token ids.
      variables: Variables of it.
      *inputs: Token ids of a text, int [1, T]; or of a source and a target.
      layer: Name of the attention layers: "attention" for self-attention.

    Returns:
      Weights in the order of the layers; none if the network has no such layer.
    """
    apply = partial(model.apply, mutable=INTERMEDIATES)
    state = jax.jit(apply)(variables, *inputs)[1].get(INTERMEDIATES, {})
    found: list[tuple[int, np.ndarray]] = []
    for path, leaf in jax.tree.leaves_with_path(state):
        names = [str(getattr(entry, "key", "")) for entry in path]
        if names[:-1] == ["weights"]:  # Of one decoder without heads, `Seq2Seq`.
            return [np.asarray(leaf)]
        if names[-3:-1] != [layer, "weights"]:
            continue
        # Of scanned layers, they are stacked along a leading axis.
        layers = leaf if leaf.ndim == 5 else leaf[None]
        (number,) = [
            int(name.partition("_")[2] or 0)
            for name in names
            if name.split("_")[0] == "layers"
        ] or [0]
        found += [(number + i, np.asarray(x[0])) for i, x in enumerate(layers)]
    return [weights for _, weights in sorted(found, key=lambda pair: pair[0])]


def _losses(model: Model, variables: Variables, tokens: Array) -> Array:
    """Losses of all tokens of each window but the first, float32 [B, T]."""

    @jax.jit
    def of_window(window):
        logits, _ = model.apply(variables, window[None, :-1])
        return losses.cross_entropy(logits[0].astype(jnp.float32), window[1:])

    return jax.lax.map(of_window, tokens)
