import jax
import numpy as np
import pytest

from fdl.errors import UserError
from fdl.models.generative.logit_flow import LogitFlow
from fdl.models.generative.realnvp import RealNVP

FLOW = LogitFlow(RealNVP(3, (6,)), alpha=0.1, input_shape=(2, 2, 1))
SHAPE = (6, 2, 2, 1)


@pytest.fixture
def case(random_variables):
    images = np.random.RandomState(0).uniform(size=SHAPE).astype(np.float32)
    images[0, 0, 0], images[1, 1, 1] = 0, 1  # Both ends are finite.
    return random_variables(FLOW), images


def test_the_determinant_is_that_of_the_full_jacobian_in_float64(case):
    with jax.enable_x64(True):
        variables, images = jax.tree.map(np.float64, case)

        def forward(x):
            z, log_det = FLOW.apply(variables, x.reshape(1, 2, 2, 1), method="forward")
            return z[0], (z[0], log_det[0])

        points = images.reshape(6, 4)
        run = jax.jit(jax.vmap(jax.jacfwd(forward, has_aux=True)))
        jacobian, (z, log_det) = jax.device_get(run(points))
        density = jax.jit(FLOW.apply)(variables, images)
    expected = np.linalg.slogdet(jacobian)[1]
    np.testing.assert_allclose(log_det, expected, rtol=1e-12)
    normal = -0.5 * (z**2 + np.log(2 * np.pi)).sum(axis=-1)
    np.testing.assert_allclose(density, normal + expected, rtol=1e-12)


def test_inverting_undoes_the_flow(case, apply):
    variables, images = case
    z, log_det = apply(FLOW, variables, images, method="forward")
    again, back = apply(FLOW, variables, z, method="inverse")
    assert z.shape == (6, 4)
    np.testing.assert_allclose(again, images, atol=1e-5)
    np.testing.assert_allclose(back, -log_det, atol=1e-4)


def test_an_alpha_without_room_is_told(case):
    with pytest.raises(UserError, match=r"alpha=0.5: expected above 0 and below 0.5"):
        FLOW.clone(alpha=0.5).apply(*case)
