import numpy as np
import pytest
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from fdl import plots
from fdl.errors import UserError

POINTS = np.random.default_rng(0).normal(size=(40, 5)) * [5, 3, 1, 1, 1]
LABELS = np.arange(40) % 3


def offsets(figure):
    return [np.asarray(x.get_offsets()) for x in figure.axes[0].collections]


def test_each_class_has_its_points_in_its_colour():
    figure = plots.embedding(POINTS[:, :2], LABELS - 1, ["zero"])
    for label, drawn in enumerate(offsets(figure)):
        np.testing.assert_array_equal(drawn, POINTS[np.equal(LABELS, label), :2])
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["no class", "zero", "1"]


def test_more_dimensions_are_projected_onto_principal_components():
    pca = PCA(2).fit(POINTS)
    figure = plots.embedding(POINTS)
    (drawn,) = offsets(figure)
    np.testing.assert_allclose(abs(drawn), abs(pca.transform(POINTS)), atol=1e-9)
    share = f"component 1 ({pca.explained_variance_ratio_[0]:.0%})"
    assert figure.axes[0].get_xlabel() == share
    assert not figure.legends


def test_t_sne_keeps_neighbours_together():
    points = np.repeat(np.eye(3, 6) * 20, 8, axis=0) + POINTS[:24, [2, 3, 4, 2, 3, 4]]
    labels = np.repeat(np.arange(3), 8)
    with threadpool_limits(1):  # Threads of a loaded machine wait for each other.
        drawn = offsets(plots.embedding(points, labels, method="tsne"))
    centres = np.array([part.mean(axis=0) for part in drawn])
    for label, part in enumerate(drawn):
        distances = np.linalg.norm(part[:, None] - centres, axis=-1)
        assert (distances.argmin(axis=1) == label).all()


def test_one_dimension_is_a_line():
    (drawn,) = offsets(plots.embedding(POINTS[:, :1]))
    np.testing.assert_array_equal(drawn, np.c_[POINTS[:, 0], np.zeros(40)])


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: plots.embedding(POINTS, LABELS[:3]), r"labels of shape \[3\]: expec"),
        (lambda: plots.embedding(POINTS * np.nan), "expected finite numbers"),
        (lambda: plots.embedding(POINTS, method="umap"), "expected 'pca' or 'tsne'"),
    ],
)
def test_what_cannot_be_drawn_is_told(call, message):
    with pytest.raises(UserError, match=message):
        call()
