import numpy as np
import pytest

from fdl import plots
from fdl.errors import UserError

EXTENT = (-1.0, 3.0, -2.0, 2.0)


def test_the_image_lies_as_the_grid_and_ends_ten_nats_below_its_peak():
    x, y = np.meshgrid(np.linspace(-1, 3, 5), np.linspace(-2, 2, 3))
    values = 4 * x - y
    values[0, 0] = -np.inf
    points = {
        "data": np.array([[0.0, 0.5], [5.0, 0.0], [0.0, 1.0]]),
        "samples": np.zeros((3, 2)),
    }
    figure = plots.density(values, EXTENT, points)
    image = figure.axes[0].images[0]
    peak = values.max()
    expected = np.maximum(values, peak - 10)
    np.testing.assert_allclose(image.get_array(), expected)
    assert (image.origin, tuple(image.get_extent())) == ("lower", EXTENT)
    data = figure.axes[1]
    np.testing.assert_allclose(data.collections[0].get_offsets(), points["data"])
    assert data.get_title() == "3 data, 1 outside"
    assert figure.axes[2].get_title() == "3 samples"
    assert data.get_xlim() == EXTENT[:2] and data.get_ylim() == EXTENT[2:]


@pytest.mark.parametrize(
    "arguments, text",
    [
        ((np.zeros(3), EXTENT), r"log_density of shape \[3\]: expected"),
        ((np.full((2, 2), -np.inf), EXTENT), "expected finite numbers"),
        ((np.zeros((2, 2)), (1, 0, 0, 1)), "expected left < right"),
        (
            (np.zeros((2, 2)), EXTENT, {"a": np.zeros((4, 3))}),
            r"points\['a'\] of \[4, 3",
        ),
    ],
)
def test_what_cannot_be_drawn_is_told(arguments, text):
    with pytest.raises(UserError, match=text):
        plots.density(*arguments)
