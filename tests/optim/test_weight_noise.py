import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import optim
from fdl.types import Mean

WEIGHTS = {"a": jnp.full((200, 50), 3.0), "b": jnp.full(10_000, -1.0)}


def objective(variables, batch, key=None, *, train=False):
    del batch, key, train
    return 0.0, (variables["params"], {"loss": Mean(0.0, 1.0)})


def test_weights_are_seen_through_noise_in_training_only():
    noisy = optim.noisy_weights(objective, 0.1)
    seen = []
    for seed in (0, 0, 1):
        key = jax.random.key(seed)
        _, (params, _) = noisy({"params": WEIGHTS}, None, key, train=True)
        noise = np.concatenate([np.ravel(params[n] - WEIGHTS[n]) for n in "ab"])
        np.testing.assert_allclose(noise.mean(), 0, atol=4 * 0.1 / np.sqrt(20_000))
        np.testing.assert_allclose(noise.std(), 0.1, rtol=0.03)
        seen.append(noise)
    assert (seen[0] == seen[1]).all() and (seen[0] != seen[2]).mean() > 0.99
    correlation = np.corrcoef(seen[0][:10_000], seen[0][10_000:])[0, 1]
    assert abs(correlation) < 0.04
    _, (params, _) = noisy({"params": WEIGHTS}, None)
    assert params is WEIGHTS


def test_noise_of_half_precision_is_drawn_in_single():
    """Of the 128 random numbers that bfloat16 has, the mean is not zero."""
    zeros = jnp.zeros(200_000, jnp.bfloat16)
    noisy = optim.noisy_weights(objective, 1.0)
    _, (noise, _) = noisy({"params": zeros}, None, jax.random.key(0), train=True)
    assert noise.dtype == jnp.bfloat16
    noise = np.asarray(noise, np.float64)
    assert abs(noise.mean()) < 4 / np.sqrt(200_000) and np.abs(noise).max() > 4


def test_noise_needs_a_key():
    with pytest.raises(ValueError, match="key"):
        optim.noisy_weights(objective, 0.1)({"params": WEIGHTS}, None, train=True)


def test_noise_on_gradients_has_the_variance_of_its_step():
    optimizer = optim.chain("sgd", 1.0, num_steps=9, gradient_noise=0.04)
    state, update = optimizer.init(WEIGHTS), jax.jit(optimizer.update)
    zeros = jax.tree.map(jnp.zeros_like, WEIGHTS)
    for step in range(1, 4):
        updates, state = update(zeros, state, WEIGHTS)
        variance = np.concatenate([np.ravel(u) for u in updates.values()]).var()
        np.testing.assert_allclose(variance, 0.04 / step**0.55, rtol=0.05)
