"""Loss of a language model by position, and token by token."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from fdl.errors import UserError
from fdl.plots.class_names import literal
from fdl.plots.figure import COLORS, new_figure

WIDTH, MAX_CELLS = 80, 1200  # Characters of a line, and of the page.


def loss_by_position(nats: np.ndarray, *, title: str = "") -> Figure:
    """Plots the mean loss of a token by its position in a window, in nats.

    It falls as far as the context helps. The band is two standard errors either side.

    Args:
      nats: Losses −log p, float [N, T] of N windows; NaN where there is no token.
      title: Title of the figure; none if empty.

    Raises:
      UserError: The losses are not a table of at least one window.
    """
    nats = np.asarray(nats, np.float64)
    if nats.ndim != 2 or not nats.size:
        raise UserError(
            f"nats.shape={list(nats.shape)}: expected [N, T], of one window at least"
        )
    known = ~np.isnan(nats)
    count = known.sum(axis=0)
    nats, count = nats[:, count > 0], count[count > 0]
    positions = np.flatnonzero(known.any(axis=0)) + 1
    mean = np.nanmean(nats, axis=0)
    error = np.sqrt(np.nanmean((nats - mean) ** 2, axis=0) / np.maximum(count - 1, 1))
    figure = new_figure(6.4, 4.0, title)
    axes = figure.subplots()
    axes.plot(positions, mean, color=COLORS[0])
    axes.fill_between(
        positions, mean - 2 * error, mean + 2 * error, color=COLORS[0], alpha=0.25
    )
    axes.set(
        xlabel="position in the window",
        ylabel="loss (nats per token)",
    )
    axes.grid(alpha=0.3)
    return figure


def token_surprise(
    tokens: Sequence[str], nats: np.ndarray, *, title: str = ""
) -> Figure:
    """Plots a text in which the colour of a token is its surprise −log₂ p, in bits.

    Args:
      tokens: Text of each of T tokens; of a long text, the beginning is drawn.
      nats: Losses −log p, float [T].
      title: Title of the figure; none if empty.

    Raises:
      UserError: There are no tokens, or not as many as losses.
    """
    bits = np.asarray(nats, np.float64) / np.log(2)
    if not len(tokens) or bits.shape != (len(tokens),):
        raise UserError(
            f"nats.shape={list(bits.shape)}: expected one for each of {len(tokens)} "
            "tokens, of which there is at least one"
        )
    cells = _cells(tokens)
    rows = cells[-1][0] + 1
    colors = np.full((rows, WIDTH), np.nan)
    figure = new_figure(9.0, 1.5 + 0.19 * rows, title)
    axes = figure.subplots()
    for row, column, index, character in cells:
        colors[row, column] = bits[index]
        axes.text(
            column,
            row,
            literal(character),
            fontfamily="DejaVu Sans Mono",
            fontsize=7.5,
            va="center",
            ha="center",
        )
    # The most surprising tokens would make all others look alike.
    most = max(1.0, float(np.nanpercentile(colors, 98)))
    # Light enough to read black letters on.
    image = axes.imshow(colors, cmap="YlOrRd", vmin=0, vmax=1.6 * most, aspect="auto")
    axes.axis("off")
    figure.colorbar(
        image,
        ax=axes,
        location="bottom",
        shrink=0.4,
        label=f"surprise (bits per token; mean {bits.mean():.2f})",
        boundaries=np.linspace(0, most, 65),
        ticks=np.linspace(0, most, 5).round(1),
    )
    return figure


def visible(token: str) -> str:
    """Token whose spaces and line breaks can be seen."""
    return token.replace("\n", "↵").replace("\t", "→").replace(" ", "·")


def _cells(tokens: Sequence[str]) -> list[tuple[int, int, int, str]]:
    """Row, column, index of the token and character, of all that is drawn."""
    cells = []
    row = column = 0
    for index, token in enumerate(tokens):
        # A token without a text, such as a special one, has a cell as well.
        for character in token or "∅":
            if column == WIDTH:
                row, column = row + 1, 0
            shown = "↵" if character == "\n" else character
            cells.append((row, column, index, shown))
            column += 1
            if character == "\n":
                row, column = row + 1, 0
            if len(cells) == MAX_CELLS:
                return cells
    return cells
