import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import energy_distance as of_one_dimension

from fdl.errors import UserError
from fdl.evaluation import energy_distance

RANDOM = np.random.RandomState(0)


def test_in_one_dimension_it_is_the_square_of_that_of_scipy():
    x, y = RANDOM.normal(size=300), RANDOM.normal(0.3, 1.4, size=270)
    np.testing.assert_allclose(
        energy_distance(x[:, None], y[:, None]), of_one_dimension(x, y) ** 2, rtol=1e-10
    )


@pytest.mark.parametrize("shift", [0, 1e6])
def test_it_is_made_of_mean_distances_also_far_from_zero(shift):
    x, y = RANDOM.normal(size=(600, 2, 3)), RANDOM.normal(0.2, 1, size=(5, 2, 3))
    a, b = x.reshape(600, 6), y.reshape(5, 6)
    expected = 2 * cdist(a, b).mean() - cdist(a, a).mean() - cdist(b, b).mean()
    actual = energy_distance(x + shift, y + shift)
    np.testing.assert_allclose(actual, expected, atol=1e-8)
    assert energy_distance(x, x) == 0


@pytest.mark.parametrize("shape", [(4, 3), (0, 2)])
def test_points_of_other_shapes_are_told(shape):
    with pytest.raises(UserError, match="expected points of one shape"):
        energy_distance(np.zeros((4, 2)), np.zeros(shape))
