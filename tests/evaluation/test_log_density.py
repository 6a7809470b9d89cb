import jax
import numpy as np
from scipy import stats

from fdl import data, evaluation, models, objectives
from fdl.runs import density_plots
from fdl.types import Examples, Experiment

POINTS = np.random.RandomState(0).normal(size=(30, 2)).astype(np.float32)
MODEL = models.functional(models.GaussianMixture(1))
PREPROCESSING = data.preprocessing.arrays(x=jax.ShapeDtypeStruct((2,), np.float32))
ABILITY = evaluation.log_density(MODEL, PREPROCESSING)
MEAN = np.array([0.5, -0.5])
VARIABLES = {
    "params": {
        "logits": np.zeros(1, np.float32),
        "means": np.float32(MEAN)[None],
        "log_diagonal": np.zeros((1, 2), np.float32),
        "off_diagonal": np.zeros((1, 1), np.float32),
    }
}
NORMAL = stats.multivariate_normal(MEAN, np.eye(2))


def test_each_example_has_the_density_of_the_model():
    found = evaluation.predict(ABILITY, VARIABLES, {"x": POINTS}, batch_size=8)
    np.testing.assert_allclose(found["log_density"], NORMAL.logpdf(POINTS), atol=1e-5)


def test_the_density_of_points_in_the_plane_is_drawn_where_they_lie():
    batches = data.batches({"x": POINTS}, 30, shuffle=False)
    examples = Examples(batches, objectives.density(MODEL, inputs="x"))
    experiment = Experiment(
        None, batches, dict, abilities={"log_density": ABILITY}, examples=examples
    )
    ((name, figure),) = density_plots.figures(experiment, VARIABLES, "")
    image = figure.axes[0].images[0]
    left, right, bottom, top = image.get_extent()
    size = density_plots.RESOLUTION
    grid = np.meshgrid(np.linspace(left, right, size), np.linspace(bottom, top, size))
    expected = NORMAL.logpdf(np.stack(grid, axis=-1))
    shown = np.maximum(expected, expected.max() - 10)
    np.testing.assert_allclose(image.get_array(), shown, atol=1e-4)
    assert name == "density" and left < POINTS[:, 0].min() < POINTS[:, 0].max() < right
    assert figure.axes[1].get_title() == "30 test points"
