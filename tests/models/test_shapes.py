import jax
import jax.numpy as jnp
import pytest

from fdl import models


@pytest.mark.parametrize(
    "module, shape, count",
    [
        (models.linear(10), (1, 784), 7_850),
        (models.MLP((30,), 10), (1, 784), 23_860),
        (models.MLP((100,), 10), (1, 28, 28, 1), 79_510),
        (models.MLP((30, 30), 10), (1, 784), 24_790),
        (models.MLP((128, 64), 10), (1, 64), 17_226),
        (models.lenet5(), (1, 28, 28, 1), 61_706),
        (models.CNN((32, 64), (64,), 10), (1, 8, 8, 1), 35_914),
        (models.Autoencoder((1000, 500, 250), 30), (1, 784), 2_837_314),
        (models.ActorCritic(2), (1, 4), 9_155),
    ],
)
def test_models_have_the_published_number_of_parameters(module, shape, count):
    model = models.pure(module, jnp.zeros(shape))
    params = jax.eval_shape(model.init, jax.random.key(0))["params"]
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == count
