import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fdl import optim
from fdl.errors import UserError

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(5, 4), (3, 3, 2, 4)])
def test_no_unit_receives_more_than_the_limit(shape):
    weights = {
        "kernel": jnp.asarray(RANDOM.normal(size=shape), jnp.float32),
        "bias": 9 * jnp.ones(4),
    }
    grads = jax.tree.map(jnp.ones_like, weights)
    optimizer = optim.chain("sgd", 0.1, num_steps=9, max_norm=2.0)
    updates, _ = jax.jit(optimizer.update)(grads, optimizer.init(weights), weights)
    after = optax.apply_updates(weights, updates)
    free = np.asarray(weights["kernel"] - 0.1).reshape(-1, 4)
    norms = np.linalg.norm(free, axis=0)
    assert (norms > 2).any()
    expected = free * np.minimum(1, 2 / norms)
    np.testing.assert_allclose(after["kernel"].reshape(-1, 4), expected, rtol=1e-5)
    np.testing.assert_allclose(after["bias"], 8.9 * np.ones(4), rtol=1e-6)


def test_norms_of_half_precision_do_not_overflow():
    weights = jnp.full((4, 3), 200.0, jnp.float16)
    zeros, project = jnp.zeros_like(weights), optim.max_norm(1.0)
    updates, _ = jax.jit(project.update)(zeros, project.init(zeros), weights)
    assert updates.dtype == jnp.float16
    np.testing.assert_allclose(updates, 0.5 - 200, rtol=1e-3)


def test_a_unit_of_zeros_stays_finite():
    zeros = jnp.zeros((3, 2))
    optimizer = optim.max_norm(1.0)
    updates, _ = optimizer.update(zeros, optimizer.init(zeros), zeros)
    np.testing.assert_array_equal(updates, zeros)


def test_the_limit_is_positive():
    with pytest.raises(UserError, match="max_norm=-1"):
        optim.chain("sgd", num_steps=9, max_norm=-1)
