"""Attention maps."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from fdl.errors import UserError
from fdl.plots.class_names import literal
from fdl.plots.figure import new_figure
from fdl.plots.token_losses import visible

MAX_LAYERS, MAX_HEADS = 6, 8  # More cannot be told apart on a page.


def attention_maps(
    weights: Sequence[np.ndarray],
    tokens: Sequence[str] = (),
    *,
    keys: Sequence[str] = (),
    title: str = "",
) -> Figure:
    """Plots the attention weights of all layers and heads on one text.

    A row of panels is a layer, a column a head; in each, a row is a query, and a column
    a key. Of more than 6 layers and 8 heads, evenly spaced ones are drawn.

    Args:
      weights: Attention weights of each layer, float [N, T, S].
      tokens: Text of each of T tokens; default: none is written.
      keys: Text of each of S tokens that are attended to. Default: the same.
      title: Title of the figure; none if empty.

    Raises:
      UserError: There are no weights, or not as many tokens.
    """
    if not weights:
        raise UserError("weights=[]: expected those of one layer at least")
    keys = keys or tokens
    _, num_queries, num_keys = np.shape(weights[0])
    for name, texts, count in ("tokens", tokens, num_queries), ("keys", keys, num_keys):
        if texts and len(texts) != count:
            raise UserError(f"{name}: expected {count}, got {len(texts)}")
    layers = _spread(len(weights), MAX_LAYERS)
    heads = _spread(min(len(layer) for layer in weights), MAX_HEADS)
    size = 1.6 if max(len(layers), len(heads)) > 1 else 4.0
    figure = new_figure(max(3.0, size * len(heads)), 0.6 + size * len(layers), title)
    panels = figure.subplots(len(layers), len(heads), squeeze=False)
    for row, layer in zip(panels, layers, strict=True):
        for axes, head in zip(row, heads, strict=True):
            axes.imshow(
                np.asarray(weights[layer][head], np.float32),
                cmap="viridis",
                vmin=0,
                interpolation="nearest",
            )
            axes.set_title(f"layer {layer}, head {head}", fontsize=7)
            axes.set(xticks=[], yticks=[])
    # Text beside each panel would hide the panels.
    queries, keys = ([literal(visible(x)) for x in texts] for texts in (tokens, keys))
    if queries:
        first = panels[-1][0]
        # As large as there is room for.
        points = min(9.0, max(4.0, 40 * size / max(num_queries, num_keys)))
        first.set_xticks(range(num_keys), keys, fontsize=points, rotation=90)
        first.set_yticks(range(num_queries), queries, fontsize=points)
        first.tick_params(length=0, pad=1)
    return figure


def _spread(count: int, most: int) -> list[int]:
    """Indices of at most so many, from the first to the last."""
    return sorted({round(i) for i in np.linspace(0, count - 1, min(count, most))})
