"""Pictures of examples, of numbers and of weights."""

import numpy as np
import pytest
from sklearn import metrics

from fdl import plots

LABELS = np.array([0, 1, 2, 1, 0])
PROBABILITIES = np.array(
    [[0.7, 0.2, 0.1], [0.9, 0.1, 0], [0.1, 0.8, 0.1], [0.5, 0.2, 0.3], [0.3, 0.4, 0.3]]
)


def test_the_worst_are_the_surest_that_are_wrong():
    assert plots.worst(LABELS, PROBABILITIES).tolist() == [1, 2, 3, 4]
    assert plots.worst(LABELS, PROBABILITIES, 2).tolist() == [1, 2]
    right = PROBABILITIES.argmax(axis=1)
    assert plots.worst(right, PROBABILITIES).tolist() == []
    assert plots.worst(np.full(5, -1), PROBABILITIES).tolist() == []


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1), (4, 6, 3)])
def test_mistakes_are_shown_with_prediction_and_truth(shape):
    images = np.random.default_rng(0).normal(size=(5, *shape))
    figure = plots.mistakes(images, LABELS, PROBABILITIES, ["a", "b", "c"])
    panels = [axes for axes in figure.axes if axes.images]
    titles = [axes.get_title() for axes in panels]
    assert titles == [
        "predicted a: 0.900\ntrue b: 0.100",
        "predicted b: 0.800\ntrue c: 0.100",
        "predicted a: 0.500\ntrue b: 0.200",
        "predicted b: 0.400\ntrue a: 0.300",
    ]
    low, high = images[1:].min(), images[1:].max()
    for axes, image in zip(panels, images[1:], strict=True):
        shown = (image - low) / (high - low)
        shown = shown[..., 0] if shape[2:] == (1,) else shown
        np.testing.assert_allclose(axes.images[0].get_array(), shown, atol=1e-12)


@pytest.mark.parametrize("width", [3, 30])
def test_mistakes_in_a_table_are_rows_in_standard_deviations(width):
    rows = np.random.default_rng(0).normal(5, 2, size=(5, width))
    rows[:, 0] = 7.0  # A column that says nothing.
    figure = plots.mistakes(rows, LABELS, PROBABILITIES, columns=["age", "bmi"])
    axes = figure.axes[0]
    spread = np.where(rows.std(axis=0) == 0, 1, rows.std(axis=0))
    expected = ((rows - rows.mean(axis=0)) / spread)[1:]
    np.testing.assert_allclose(axes.images[0].get_array(), expected)
    first = axes.get_yticklabels()[0].get_text()
    assert first == "1: predicted 0: 0.900, true 1: 0.100"
    names = [text.get_text() for text in axes.get_xticklabels()]
    assert names[:3] == ["age", "bmi", "2"]
    numbers = [float(text.get_text()) for text in axes.texts]
    shown = rows[1:].ravel() if width == 3 else []
    np.testing.assert_allclose(numbers, shown, rtol=1e-2)


def test_no_mistakes_are_told():
    right = PROBABILITIES.argmax(axis=1)
    figure = plots.mistakes(np.zeros((5, 2)), right, PROBABILITIES)
    assert "no mistakes" in [text.get_text() for text in figure.texts]


def test_inputs_that_are_no_images_and_no_rows_are_told():
    with pytest.raises(ValueError, match=r"inputs of shape \[4\] for 5 labels"):
        plots.mistakes(np.zeros(4), LABELS, PROBABILITIES)


def test_a_dense_layer_on_images_looks_like_images():
    kernel = np.random.default_rng(0).normal(size=(6, 5)) * [1, 5, 2, 3, 4]
    axes = plots.filters(kernel, (2, 3, 1)).axes[0]
    shown = np.asarray(axes.images[0].get_array().filled(np.nan))
    assert axes.get_title() == "5 of 5 filters, the largest first"
    order = np.argsort(-np.linalg.norm(kernel, axis=0))
    assert order[0] == 1
    np.testing.assert_array_equal(shown[:2, :3], kernel[:, order[0]].reshape(2, 3))
    np.testing.assert_array_equal(shown[3:5, :3], kernel[:, order[3]].reshape(2, 3))
    assert np.isnan(shown[2]).all() and np.isnan(shown[:, 3]).all()
    peak = np.abs(kernel).max()
    assert axes.images[0].get_clim() == (-peak, peak)


def test_filters_of_three_channels_are_colours_around_grey():
    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 4))
    kernel[..., 2] = 0
    image = plots.filters(kernel).axes[0].images[0].get_array()
    assert image.shape == (7, 7, 3)
    np.testing.assert_array_equal(image[4:, 4:], 0.5)  # The least comes last.
    first = kernel[..., np.argmax(np.linalg.norm(kernel.reshape(-1, 4), axis=0))]
    expected = 0.5 + first / (2 * np.abs(first).max())
    np.testing.assert_allclose(image[:3, :3], expected)


def test_filters_of_other_channels_take_a_row_each():
    kernel = np.random.default_rng(0).normal(size=(2, 2, 5, 20))
    axes = plots.filters(kernel).axes[0]
    said = "16 of 20 filters, the largest first; 5 of 5 channels in each row"
    assert axes.get_title() == said
    shown = axes.images[0].get_array().filled(np.nan)
    assert shown.shape == (16 * 3 - 1, 5 * 3 - 1)
    first = np.argmax(np.linalg.norm(kernel.reshape(-1, 20), axis=0))
    np.testing.assert_array_equal(shown[:2, 3:5], kernel[:, :, 1, first])


def test_the_largest_of_many_filters_are_drawn():
    kernel = np.random.default_rng(0).normal(size=(3, 3, 1, 100))
    title = plots.filters(kernel).axes[0].get_title()
    assert title == "64 of 100 filters, the largest first"


@pytest.mark.parametrize("shape", [(4,), (5, 2), (2, 2, 1)])
def test_a_kernel_of_no_filters_is_told(shape):
    with pytest.raises(ValueError, match="kernel of shape"):
        plots.filters(np.zeros(shape), (2, 2, 1))


def test_weights_on_a_table_are_a_heat_map():
    kernel = np.random.default_rng(0).normal(size=(3, 4))
    axes = plots.weights(kernel, ["age", "sex"]).axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array(), kernel)
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert names == ["age", "sex", "2"]


@pytest.mark.parametrize("shape", [(40,), (40, 2)])
def test_predictions_are_drawn_over_targets_with_the_numbers_of_scikit_learn(shape):
    generator = np.random.default_rng(0)
    targets = generator.normal(100, 20, shape)
    predicted = targets + generator.normal(0, 10, shape)
    figure = plots.predictions(targets, predicted)
    for k, axes in enumerate(figure.axes):
        x, y = (part.reshape(40, -1)[:, k] for part in (targets, predicted))
        points = np.asarray(axes.collections[0].get_offsets())
        np.testing.assert_allclose(points, np.stack([x, y], axis=1))
        r2, error = metrics.r2_score(x, y), metrics.mean_absolute_error(x, y)
        said = f"R² {r2:.4f}, mean absolute error {error:.4g}"
        assert axes.get_title() == said
    assert k == len(shape) - 1


def test_residuals_are_what_is_true_minus_what_was_predicted():
    targets, predicted = np.array([1.0, 2.0, 4.0]), np.array([2.0, 2.0, 1.0])
    axes, beside = plots.residuals(targets, predicted).axes
    points = np.asarray(axes.collections[0].get_offsets())
    np.testing.assert_allclose(points, [[2, -1], [2, 0], [1, 3]])
    assert sum(bar.get_width() for bar in beside.patches) == 3
    assert "mean 0.6667" in axes.get_title()


def test_targets_of_another_shape_are_told():
    for draw in (plots.predictions, plots.residuals):
        with pytest.raises(
            ValueError, match=r"targets of shape \[2\], predictions of shape \[3\]"
        ):
            draw(np.zeros(2), np.zeros(3))
        with pytest.raises(ValueError, match="targets are empty"):
            draw(np.zeros(0), np.zeros(0))
