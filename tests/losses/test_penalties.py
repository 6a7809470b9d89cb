import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fdl import losses, models
from fdl.errors import UserError

PROGRAMS = 240

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(20, 4)).astype(np.float32)
Y = RANDOM.integers(3, size=20)
MODULE = models.MLP((6,), 3)
PARAMS = jax.jit(MODULE.init)(jax.random.key(0), X)["params"]
PARAMS = jax.tree.map(lambda x: np.asarray(x) + np.float32(0.1), PARAMS)  # Biases too.
STRENGTH = 0.03


def loss(params):
    return losses.cross_entropy(MODULE.apply({"params": params}, X), Y).mean()


def l2(params):
    return losses.l2_penalty(params, strength=STRENGTH)


def trained(optimizer, penalty=None, num_steps=50):
    """The parameters after some steps, as one compiled loop."""

    def total(params):
        return loss(params) + (0 if penalty is None else penalty(params))

    def step(carry, _):
        params, state = carry
        updates, state = optimizer.update(jax.grad(total)(params), state, params)
        return (optax.apply_updates(params, updates), state), None

    carry = PARAMS, optimizer.init(PARAMS)
    return jax.jit(lambda c: jax.lax.scan(step, c, length=num_steps)[0][0])(carry)


def apart(params, others):
    gaps = jax.tree.map(lambda a, b: np.abs(np.subtract(a, b)).max(), params, others)
    return max(jax.tree.leaves(gaps))


def kernels_of(params):
    return [layer["kernel"] for layer in params.values()]


def test_the_penalties_are_their_definitions_over_kernels():
    kernels = [np.asarray(k, np.float64) for k in kernels_of(PARAMS)]
    assert len(kernels) == 2
    expected = STRENGTH / 2 * sum((k**2).sum() for k in kernels)
    np.testing.assert_allclose(jax.jit(l2)(PARAMS), expected, rtol=1e-6)
    expected = STRENGTH * sum(np.abs(k).sum() for k in kernels)
    actual = jax.jit(functools.partial(losses.l1_penalty, strength=STRENGTH))(PARAMS)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_their_gradients_are_the_weights_and_their_signs():
    params = {"kernel": jnp.array([2.0, -3.0, 0.0]), "bias": jnp.array([1.0])}
    grad = jax.grad(lambda p: losses.l2_penalty(p, strength=0.5))(params)
    np.testing.assert_array_equal(grad["kernel"], [1.0, -1.5, 0.0])
    np.testing.assert_array_equal(grad["bias"], [0.0])
    grad = jax.grad(lambda p: losses.l1_penalty(p, strength=0.5))(params)
    np.testing.assert_array_equal(grad["kernel"], [0.5, -0.5, 0.0])


@pytest.mark.parametrize(
    "optimizer",
    [
        optax.sgd(0.1),
        optax.sgd(0.1, momentum=0.9, nesterov=True),
        optax.adam(1e-2),
        optax.rmsprop(1e-2),
    ],
    ids=["sgd", "nesterov", "adam", "rmsprop"],
)
def test_the_penalty_is_decay_before_the_optimizer(optimizer):
    before = optax.add_decayed_weights(STRENGTH, mask=losses.kernels)
    decayed = trained(optax.chain(before, optimizer))
    assert apart(trained(optimizer, l2), decayed) < 1e-6
    assert apart(trained(optimizer), decayed) > 1e-3


def test_with_sgd_it_is_that_to_the_bit():
    """λ/2 Σ w² has the gradient (λ/2) (2 w), and halves and doubles are exact."""
    before = optax.add_decayed_weights(STRENGTH, mask=losses.kernels)

    @jax.jit
    def both(grads):
        decayed, _ = before.update(grads, before.init(PARAMS), PARAMS)
        return jax.tree.map(jnp.add, grads, jax.grad(l2)(PARAMS)), decayed

    penalised, decayed = both(jax.jit(jax.grad(loss))(PARAMS))
    jax.tree.map(np.testing.assert_array_equal, penalised, decayed)


def test_for_sgd_it_is_decoupled_decay_times_the_learning_rate_and_for_adam_it_is_not():
    def decoupled(optimizer, learning_rate):
        decay = optax.add_decayed_weights(-learning_rate * STRENGTH, losses.kernels)
        return trained(optax.chain(optimizer, decay))

    assert apart(trained(optax.sgd(0.1), l2), decoupled(optax.sgd(0.1), 0.1)) < 1e-6
    adamw = optax.adamw(1e-2, weight_decay=STRENGTH, mask=losses.kernels)
    assert apart(trained(adamw), decoupled(optax.adam(1e-2), 1e-2)) < 1e-6
    assert apart(trained(optax.adam(1e-2), l2), trained(adamw)) > 1e-2


def test_nielsens_rule_has_a_strength_of_lambda_over_n():
    """w → (1 − ηλ/n) w − η ∂C/∂w, and biases without the decay."""
    rate, lambda_, n = 0.5, 5.0, 20
    grads = jax.jit(jax.grad(loss))(PARAMS)

    def total(params):
        return loss(params) + losses.l2_penalty(params, strength=lambda_ / n)

    actual = jax.tree.map(
        lambda w, g: w - rate * np.asarray(g), PARAMS, jax.jit(jax.grad(total))(PARAMS)
    )
    for name, layer in PARAMS.items():
        kernel = (1 - rate * lambda_ / n) * layer["kernel"]
        kernel -= rate * np.asarray(grads[name]["kernel"])
        np.testing.assert_allclose(actual[name]["kernel"], kernel, atol=1e-6)
        bias = layer["bias"] - rate * np.asarray(grads[name]["bias"])
        np.testing.assert_allclose(actual[name]["bias"], bias, atol=1e-7)


def test_l1_makes_weights_tiny_and_l2_makes_them_all_smaller():
    def l1(params):
        return losses.l1_penalty(params, strength=STRENGTH)

    def tiny(params):
        weights = np.concatenate([np.ravel(k) for k in kernels_of(params)])
        return np.mean(np.abs(weights) < 5e-3)

    ridge = trained(optax.sgd(0.1), l2, num_steps=1500)
    lasso = trained(optax.sgd(0.1), l1, num_steps=1500)
    assert tiny(lasso) > 0.3 > 0.1 > tiny(ridge)


@pytest.mark.parametrize(
    "mask, expected",
    [
        (lambda params: jax.tree.map(lambda x: x.ndim == 1, params), 1 + 4),
        ({"a": True, "b": False}, 4 + 1),
        ({"a": {"kernel": False, "bias": True}, "b": True}, 1 + 9 + 4),
    ],
    ids=["function", "prefix", "tree"],
)
def test_a_mask_is_one_as_optax_takes_it(mask, expected):
    params = {
        "a": {"kernel": jnp.full((1, 1), 2.0), "bias": jnp.ones(1)},
        "b": {"kernel": jnp.full((1, 1), 3.0), "bias": jnp.full(1, 2.0)},
    }
    actual = losses.l2_penalty(params, strength=2.0, mask=mask)
    np.testing.assert_allclose(actual, expected)


def test_kernels_are_neither_biases_nor_norms_nor_embeddings():
    module = nn.Sequential(
        [nn.Embed(5, 4), nn.LayerNorm(), nn.Dense(3), nn.RNN(nn.GRUCell(2))]
    )
    params = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, 6), int))
    kernels = losses.kernels(params["params"])
    assert kernels["layers_0"] == {"embedding": False}
    assert kernels["layers_1"] == {"scale": False, "bias": False}
    assert kernels["layers_2"] == {"kernel": True, "bias": False}
    cell = kernels["layers_3"]["cell"]
    assert sum(jax.tree.leaves(cell)) == 6  # Three gates, of inputs and of the state.


def test_a_penalty_on_nothing_is_an_error_that_says_what_there_is():
    params = {"weight": jnp.ones(2), "bias": jnp.ones(1)}
    with pytest.raises(UserError, match=r"2 parameters: bias, weight$"):
        losses.l2_penalty(params, strength=0.1)


def test_half_precision_is_summed_in_float32():
    params = {"kernel": jnp.full(10_000, 0.1, jnp.bfloat16)}
    penalty = losses.l2_penalty(params, strength=2.0)
    assert penalty.dtype == jnp.float32
    np.testing.assert_allclose(
        penalty, 10_000 * float(jnp.bfloat16(0.1)) ** 2, rtol=1e-5
    )
