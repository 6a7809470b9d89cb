import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import objectives
from fdl.errors import UserError
from fdl.types import Model

IMAGES = np.random.default_rng(0).normal(size=(4, 3, 3, 1)).astype(np.float32)
MODEL = Model(
    lambda key: {"params": {"kernel": jnp.zeros(())}},
    lambda variables, x, key=None, train=False: (x * variables["params"]["kernel"], {}),
)
VARIABLES = MODEL.init(jax.random.key(0))


def test_it_is_the_mean_squared_error_of_what_counts():
    batch = {"image": IMAGES, "mask": np.array([1, 0, 1, 1], np.float32)}
    loss, _ = jax.jit(objectives.reconstruction(MODEL))(VARIABLES, batch)
    np.testing.assert_allclose(loss, (IMAGES[[0, 2, 3]] ** 2).mean(), rtol=1e-6)


def test_where_nothing_counts_nothing_is_learnt():
    batch = {"image": IMAGES, "mask": np.zeros(4, np.float32)}
    objective = objectives.reconstruction(MODEL)
    (loss, _), grad = jax.value_and_grad(objective, has_aux=True)(VARIABLES, batch)
    assert (loss, grad["params"]["kernel"]) == (0, 0)


def test_inputs_that_are_not_there_are_told():
    objective = objectives.reconstruction(MODEL, inputs="imge")
    with pytest.raises(UserError, match="no 'imge' in a batch"):
        objective(VARIABLES, {"image": IMAGES})
