import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit, rel_entr

from fdl import losses
from fdl.errors import UserError

RANDOM = np.random.default_rng(0)
CODE = RANDOM.normal(size=(5, 3)).astype(np.float32)


def test_l1_is_the_sum_of_sizes_and_zero_stays_zero():
    value, grad = jax.jit(jax.vmap(jax.value_and_grad(losses.code_l1)))(
        jnp.array([[1.0, -2.0, 0.0], [0.0, 0.0, 0.0]])
    )
    np.testing.assert_array_equal(value, [3, 0])
    np.testing.assert_array_equal(grad, [[1, -1, 0], [0, 0, 0]])
    half = jax.jit(losses.code_l1)(jnp.full((2, 300), 1.0, jnp.bfloat16))
    np.testing.assert_array_equal(half, [300, 300])  # 300 is no bfloat16.


@pytest.mark.parametrize("target", [0.05, 0.5])
def test_sparsity_is_the_divergence_of_two_coins(target):
    means = np.float32([0.01, 0.05, 0.5, 0.99])
    found = jax.jit(lambda x: losses.sparsity_kl(x, target=target))(means)
    wide = means.astype(np.float64)
    expected = rel_entr(target, wide) + rel_entr(1 - target, 1 - wide)
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=2e-7)


@pytest.mark.parametrize("target", [0.0, 1.0, -0.1])
def test_a_target_that_is_no_share_is_told(target):
    with pytest.raises(UserError, match=f"target={target}: expected a number between"):
        losses.sparsity_kl(jnp.ones(2), target=target)


def test_the_contractive_penalty_is_that_of_its_paper():
    """Of logistic units, Σⱼ (hⱼ (1 − hⱼ))² Σᵢ Wᵢⱼ², in float64."""
    weights = RANDOM.normal(size=(6, 3)).astype(np.float32)
    inputs = RANDOM.normal(size=(5, 2, 3)).astype(np.float32)

    def encode(x):
        return jax.nn.sigmoid(x.reshape(len(x), -1) @ weights)

    found = jax.jit(lambda x: losses.contractive(encode, x))(inputs)
    h = expit(inputs.reshape(5, 6).astype(np.float64) @ weights)
    expected = ((h * (1 - h)) ** 2 * (weights.astype(np.float64) ** 2).sum(0)).sum(1)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_the_contractive_penalty_is_that_of_the_whole_jacobian():
    kernel = RANDOM.normal(size=(6, 4)).astype(np.float32)

    def encode(x):
        return jnp.tanh(x.reshape(len(x), -1) @ kernel).reshape(len(x), 2, 2)

    inputs = RANDOM.normal(size=(5, 3, 2)).astype(np.float32)

    @jax.jit
    def both(x):
        jacobian = jax.vmap(jax.jacfwd(lambda one: encode(one[None])[0]))(x)
        half = losses.contractive(encode, x.astype(jnp.bfloat16))
        return losses.contractive(encode, x), (jacobian**2).sum((1, 2, 3, 4)), half

    found, expected, half = both(inputs)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert half.dtype == jnp.float32
    np.testing.assert_allclose(half, expected, rtol=0.05)
