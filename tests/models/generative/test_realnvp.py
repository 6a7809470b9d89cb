import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.errors import UserError
from fdl.models import functional
from fdl.models.generative.realnvp import RealNVP

PROGRAMS = 230

FLOW = RealNVP(num_layers=5, hidden_sizes=(7, 6))
every_size = pytest.mark.parametrize(
    "size",
    [
        pytest.param(2, marks=pytest.mark.slow),
        3,
        pytest.param(5, marks=pytest.mark.slow),
    ],
)


@pytest.fixture
def case(size, random_variables, random_inputs):
    module = FLOW.clone(input_shape=(size,))
    return random_variables(module), random_inputs(6, size)


@pytest.mark.parametrize("size", [3])
def test_each_layer_scales_and_shifts_by_what_the_kept_numbers_say(case):
    variables, x = case

    def perceptron(layers, x):
        *hidden, readout = (layers[name] for name in ("dense_0", "dense_1", "head"))
        for layer in hidden:
            x = np.maximum(x @ np.float64(layer["kernel"]) + layer["bias"], 0)
        return x @ np.float64(readout["kernel"]) + readout["bias"]

    z, expected = np.float64(x), np.zeros(6)
    for i in range(5):
        networks, mask = variables["params"][f"layers_{i}"], np.arange(3) % 2 == i % 2
        log_scale = 0.7 * np.tanh(perceptron(networks["log_scale"], mask * z))
        shift = perceptron(networks["shift"], mask * z)
        z = mask * z + (1 - mask) * (z * np.exp(log_scale) + shift)
        expected += ((1 - mask) * log_scale).sum(axis=-1)
    module = FLOW.clone(max_log_scale=0.7)
    actual = jax.jit(lambda v, x: module.apply(v, x, method="forward"))(variables, x)
    chex.assert_trees_all_close(actual, (z, expected), atol=1e-5)


@every_size
def test_inverting_undoes_the_flow(case):
    variables, x = case
    z, log_det = jax.jit(lambda v, x: FLOW.apply(v, x, method="forward"))(variables, x)
    again, back = jax.jit(lambda v, z: FLOW.apply(v, z, method="inverse"))(variables, z)
    chex.assert_trees_all_close(again, x, atol=1e-5)
    chex.assert_trees_all_close(back, -log_det, atol=1e-5)
    assert np.abs(z - x).max() > 0.1


@every_size
def test_the_determinant_is_that_of_the_full_jacobian_in_float64(case):
    with jax.enable_x64(True):
        variables, x = jax.tree.map(np.float64, case)

        def forward(x):
            z, log_det = FLOW.apply(variables, x[None], method="forward")
            return z[0], log_det[0]

        run = jax.jit(jax.vmap(jax.jacfwd(forward, has_aux=True)))
        jacobian, log_det = jax.device_get(run(x))
    expected = np.linalg.slogdet(jacobian)[1]
    np.testing.assert_allclose(log_det, expected, rtol=1e-12)
    assert np.abs(expected).max() > 0.1


def test_there_is_nothing_to_couple_in_one_dimension():
    with pytest.raises(UserError, match=r"shape \[6, 1\]: expected .* at least 2"):
        jax.eval_shape(FLOW.init, jax.random.key(0), np.zeros((6, 1), np.float32))


def test_the_density_integrates_to_one(apply, random_variables):
    variables = random_variables(FLOW)
    line = np.linspace(-24, 24, 481, dtype=np.float32)
    points = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    log_prob = np.float64(apply(FLOW, variables, points))
    area = (line[1] - line[0]) ** 2
    np.testing.assert_allclose(np.exp(log_prob).sum() * area, 1.0, atol=1e-3)


def test_samples_have_the_density_that_is_told(apply, random_variables):
    """The mean of an indicator over samples is the integral of the density."""
    variables = random_variables(FLOW)
    noise = jax.random.normal(jax.random.key(0), (40_000, 2))
    samples, _ = apply(FLOW, variables, noise, method="inverse")
    line = np.linspace(-0.5, 1.0, 151, dtype=np.float32)
    line = (line[1:] + line[:-1]) / 2
    points = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    expected = np.exp(apply(FLOW, variables, points)).sum() * 0.01**2
    inside = np.all((np.asarray(samples) > -0.5) & (np.asarray(samples) < 1.0), axis=-1)
    assert 0.05 < expected < 0.8
    np.testing.assert_allclose(inside.mean(), expected, atol=0.01)


def test_the_density_is_that_of_noise_where_nothing_is_scaled(apply, random_variables):
    variables = jax.tree.map(np.zeros_like, random_variables(FLOW))
    x = np.array([[0.0, 0.0], [1.0, -2.0]], np.float32)
    actual = apply(FLOW, variables, x)
    expected = -np.log(2 * np.pi) - np.array([0.0, 2.5])
    chex.assert_trees_all_close(np.float64(actual), expected, atol=1e-6)


def test_the_scale_is_bounded_far_from_the_data(apply, random_variables):
    module = FLOW.clone(num_layers=1, max_log_scale=0.5)
    variables = jax.tree.map(lambda x: 100 * x, random_variables(module))
    far = np.array([[1e3, -1e3]], np.float32)
    _, log_det = apply(module, variables, far, method="forward")
    np.testing.assert_allclose(np.abs(log_det), 0.5, rtol=1e-6)


def test_remembering_less_changes_no_gradient(random_variables, random_inputs):
    variables, x = random_variables(FLOW), random_inputs(6, 2)

    def gradient(module):
        return jax.jit(jax.grad(lambda v: module.apply(v, x).sum()))(variables)

    expected = gradient(FLOW)
    actual = gradient(FLOW.clone(remat=True))
    chex.assert_trees_all_close(actual, expected, rtol=1e-4, atol=1e-5)
    chex.assert_tree_all_finite(actual)


def test_bfloat16_networks_keep_the_flow_invertible(
    apply, random_variables, random_inputs
):
    module = FLOW.clone(dtype="bfloat16")
    variables, x = random_variables(module), random_inputs(6, 2)
    (z, log_det), (expected, _) = (
        apply(m, variables, x, method="forward") for m in (module, FLOW)
    )
    assert z.dtype == log_det.dtype == jnp.float32
    chex.assert_trees_all_close(z, expected, atol=0.1)
    again, _ = apply(module, variables, z, method="inverse")
    chex.assert_trees_all_close(again, x, atol=1e-5)


def test_training_is_evaluation(random_variables, random_inputs):
    variables, x = random_variables(FLOW), random_inputs(6, 2)
    apply = functional(FLOW).apply
    (evaluated, _), (trained, state) = (
        apply(variables, x, train=train) for train in (False, True)
    )
    chex.assert_trees_all_equal(evaluated, trained)
    assert state == {}
