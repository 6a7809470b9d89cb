"""Map of embeddings in two dimensions, coloured by class."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fdl.errors import UserError
from fdl.plots.class_names import class_names, literal
from fdl.plots.figure import colors, drawable, new_figure

METHODS = ("pca", "tsne")


def embedding(
    points: Any,
    labels: Any = None,
    classes: Sequence[str] = (),
    *,
    method: str = "pca",
    seed: int = 0,
    title: str = "",
) -> Figure:
    """Plots a map of embeddings: points in two dimensions, coloured by class.

    Embeddings of more dimensions are projected. Distances in a projection by t-SNE mean
    little beyond near neighbours: neither the sizes of clusters, nor the gaps between
    them.

    Args:
      points: Embeddings, [N, D]; those of one dimension are drawn along a line.
      labels: Classes, int [N]; those of negative ones are grey. Default: no classes.
      classes: Names of the classes. Default: they are numbered.
      method: Projection of more than two dimensions: "pca", principal components, or
        "tsne", which takes seconds for a thousand points.
      seed: Seed of t-SNE.
      title: Title of the figure; none if empty.

    Raises:
      UserError: The shapes do not match, points are not finite, or there is no such
        method.

    References:
      van der Maaten and Hinton, `Visualizing Data using t-SNE
      <https://jmlr.org/papers/v9/vandermaaten08a.html>`_, 2008.
    """
    points = np.asarray(points, np.float64)
    labels = np.zeros(len(points), int) if labels is None else np.asarray(labels)
    if points.ndim != 2 or labels.shape != (len(points),) or not points.size:
        raise UserError(
            f"points of shape {[*points.shape]}, labels of shape {[*labels.shape]}: "
            "expected [N, D] and [N]"
        )
    if not np.isfinite(points).all():
        raise UserError("points: expected finite numbers")
    if method not in METHODS:
        raise UserError(f"method={method!r}: expected 'pca' or 'tsne'")
    figure = new_figure(6.4, 5.2, title)
    axes = figure.subplots()
    draw_embedding(axes, points, labels, classes, method=method, seed=seed)
    if len(np.unique(labels)) > 1:
        figure.legend(loc="outside right upper", fontsize=8, markerscale=2)
    return figure


def draw_embedding(
    axes: Axes,
    points: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str] = (),
    *,
    method: str = "pca",
    seed: int = 0,
) -> None:
    """Draws a map of embeddings into axes, without a legend; see `embedding`.

    Points that are not finite are left out.
    """
    finite = np.isfinite(points).all(axis=1)
    points, labels = points[finite], labels[finite]
    if not len(points):
        return
    flat, names = _projected(points, method, seed)
    shown = class_names(classes, labels)
    palette = colors(len(shown))
    for label in np.unique(labels):
        rows = drawable(flat[labels == label])
        axes.scatter(
            rows[:, 0],
            rows[:, 1],
            s=9,
            color="0.7" if label < 0 else palette[label],
            linewidths=0,
            alpha=0.8,
            label="no class" if label < 0 else shown[label],
        )
    axes.set(xlabel=literal(names[0]), ylabel=literal(names[1]))
    # Both axes of a projection have one unit.
    axes.set_aspect("equal", adjustable="datalim")
    axes.grid(alpha=0.3)


def _projected(points, method, seed):
    """Points in two dimensions, float64 [N, 2], and the names of both axes."""
    size = points.shape[1]
    if size <= 2:
        missing = np.zeros((len(points), 2 - size))
        return np.concatenate([points, missing], axis=1), ("1", "2")
    # Imported late: scikit-learn takes seconds.
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    if method == "tsne":
        # Neighbourhoods have to be smaller than the data.
        perplexity = min(30.0, max(1.0, (len(points) - 1) / 3))
        tsne = TSNE(2, perplexity=perplexity, init="pca", random_state=seed)
        return tsne.fit_transform(points), ("t-SNE 1", "t-SNE 2")
    if len(points) < 2:
        return np.zeros((len(points), 2)), ("component 1", "component 2")
    pca = PCA(2, svd_solver="full").fit(points)
    shares = pca.explained_variance_ratio_
    names = [f"component {i + 1} ({share:.0%})" for i, share in enumerate(shares)]
    return pca.transform(points), names
