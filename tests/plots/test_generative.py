import numpy as np
import pytest

from fdl import plots
from fdl.errors import UserError
from fdl.plots.generative import in_pairs

RANDOM = np.random.default_rng(0)


def image(figure, panel=0):
    """Array that a panel shows."""
    return np.asarray(figure.axes[panel].images[0].get_array())


@pytest.mark.parametrize("shape", [(8, 6), (8, 6, 1), (8, 6, 3), (8, 6, 2)])
def test_images_lie_in_a_grid_with_gaps(shape):
    shown = image(plots.samples(RANDOM.random((5, *shape))))
    assert shown.shape[:2] == (2 * 8 + 1, 3 * 6 + 2)
    assert (shown[8] == 1).all()


def test_pixels_are_shown_as_they_are_between_0_and_1_and_else_scaled():
    values = np.array([[[0.25]], [[0.75]]])
    assert image(plots.samples(values))[0, [0, 2]].tolist() == [0.25, 0.75]
    assert image(plots.samples(4 * values - 2))[0, [0, 2]].tolist() == [0.0, 1.0]


def test_points_are_drawn_in_the_plane():
    points = RANDOM.random((7, 2))
    (line,) = plots.samples(points).axes[0].lines
    np.testing.assert_array_equal(np.stack(line.get_data(), axis=1), points)


def test_reconstructions_are_below_their_originals():
    originals = np.arange(5.0)[:, None, None]
    pairs, size = in_pairs(originals, -originals, num_columns=2)
    assert size == 2
    assert pairs.ravel().tolist() == [0, 1, -0.0, -1, 2, 3, -2, -3]


def test_the_embedding_is_drawn_by_class():
    embedding, labels = RANDOM.normal(size=(9, 3)), np.arange(9) % 3
    embedding[4] = np.nan  # Left out.
    (axes,) = plots.generative(embedding=embedding, labels=labels).axes
    assert [len(x.get_offsets()) for x in axes.collections] == [3, 2, 3]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [*"012"]
    assert axes.get_title() == "embedding, 3 numbers"


def test_numbers_that_are_no_numbers_are_drawn_as_gaps():
    assert np.isfinite(image(plots.samples(np.full((2, 3, 3, 1), np.nan)))).all()


@pytest.mark.parametrize("values", [np.zeros((0, 2, 2)), np.zeros(3)])
def test_samples_of_another_shape_are_told(values):
    with pytest.raises(UserError, match="samples of shape"):
        plots.samples(values)


def test_nothing_to_draw_is_told():
    with pytest.raises(UserError, match="expected samples, reconstructions"):
        plots.generative()
