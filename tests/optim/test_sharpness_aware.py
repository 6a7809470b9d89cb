import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fdl
from fdl import optim
from fdl.errors import UserError
from fdl.types import Mean, Model

MATRIX = np.array([[3.0, 1.0], [1.0, 1.0]])


def loss(weights):
    return 0.5 * weights @ jnp.asarray(MATRIX, jnp.float32) @ weights


def objective(variables, batch, key=None, *, train=False):
    value = loss(variables["params"])
    return value, ({}, {"loss": Mean(value, jnp.float32(1))})


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_it_descends_the_gradient_at_the_worst_point_near_by(momentum):
    optimizer = optim.chain("momentum", 0.1, num_steps=9, momentum=momentum, sam=0.05)
    model = Model(lambda key: {"params": jnp.array([1.0, -2.0])}, None)
    learner = fdl.gradient_learner(model, objective, optimizer)
    state, step = learner.init(jax.random.key(0)), jax.jit(learner.step)
    weights, velocity = np.array([1.0, -2.0]), np.zeros(2)
    for _ in range(5):
        state, _ = step(state, None)
        gradient = MATRIX @ weights
        worst = weights + 0.05 * gradient / np.linalg.norm(gradient)
        velocity = momentum * velocity + MATRIX @ worst
        weights = weights - 0.1 * velocity
        np.testing.assert_allclose(state.params, weights, rtol=1e-5)


def test_clipping_is_of_the_second_gradient_and_a_zero_gradient_is_harmless():
    optimizer = optim.chain("sgd", 1.0, num_steps=9, sam=0.1, clip_by_global_norm=0.5)
    weights = jnp.array([1.0, -2.0])
    update = jax.jit(
        lambda g, s, w: optimizer.update(
            g, s, w, grad_fn=lambda at, i: jax.grad(loss)(at)
        )
    )
    updates, _ = update(jax.grad(loss)(weights), optimizer.init(weights), weights)
    np.testing.assert_allclose(optax.tree.norm(updates), 0.5, rtol=1e-6)
    zeros = jnp.zeros(2)
    updates, _ = update(zeros, optimizer.init(zeros), zeros)
    np.testing.assert_array_equal(updates, zeros)


@pytest.mark.parametrize("radius", [0, float("inf"), float("nan")])
def test_the_radius_is_positive(radius):
    with pytest.raises(UserError, match=f"sam={radius}: expected"):
        optim.chain("sgd", num_steps=9, sam=radius)
