"""One batch by heart: reached where it can be, and the right obstacle where not."""

import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fdl
from fdl.diagnostics.overfit import LeafStats, Overfit, overfit
from fdl.diagnostics.overfit_diagnosis import diagnose_overfit
from fdl.errors import UserError
from fdl.types import Learner

KEY = jax.random.key(0)
BATCH = {
    "image": jax.random.normal(KEY, (8, 4, 4, 1)),
    "label": jnp.arange(8) % 3,
}


def attempt(module, optimizer, num_steps=200, batch=BATCH, **options):
    model = fdl.models.functional(module, BATCH["image"][:1])
    objective = fdl.objectives.classification(model, **options)
    learner = fdl.gradient_learner(model, objective, optimizer)
    state = jax.jit(learner.init)(KEY)
    return overfit(learner, state, batch, num_steps=num_steps)


def told(result):
    assert not result.reached
    return "; ".join(diagnose_overfit(result))


def test_a_sound_model_learns_the_batch_by_heart():
    result = attempt(fdl.models.MLP((32,), 3), optax.adam(1e-2))
    assert result.reached and diagnose_overfit(result) == []
    assert result.target == result.losses[0] / 100
    assert 10 <= len(result.losses) < 200
    assert max(result.losses[-2:]) <= result.target < result.losses[0]
    for leaf in result.leaves:
        assert leaf.distance > 0 and leaf.initial_grad_norm > 0


def test_the_losses_and_norms_are_those_of_training():
    """Against plain gradient descent of a linear model, in NumPy."""
    result = attempt(fdl.models.linear(3), optax.sgd(0.1), num_steps=5)
    model = fdl.models.functional(fdl.models.linear(3), BATCH["image"][:1])
    init_key, _ = jax.random.split(KEY)
    params = jax.tree.map(np.array, jax.jit(model.init)(init_key)["params"]["head"])
    kernel, bias = start = params["kernel"], params["bias"]
    x, y = np.array(BATCH["image"]).reshape(8, -1), np.eye(3)[BATCH["label"]]
    losses = []
    for _ in range(6):
        logits = x @ kernel + bias
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        losses.append(-np.log((p * y).sum(axis=1)).mean())
        grads = x.T @ (p - y) / 8, (p - y).mean(axis=0)
        if len(losses) == 1:
            first = grads
        if len(losses) < 6:
            kernel, bias = kernel - 0.1 * grads[0], bias - 0.1 * grads[1]
    np.testing.assert_allclose(result.losses, losses[:5], rtol=1e-5)
    np.testing.assert_allclose(result.eval_loss, losses[5], rtol=1e-5)
    by_bias, by_kernel = result.leaves
    for leaf, i, end in ((by_kernel, 0, kernel), (by_bias, 1, bias)):
        expected = [first[i], grads[i], start[i], end - start[i]]
        found = leaf[1:5]
        np.testing.assert_allclose(found, [*map(np.linalg.norm, expected)], rtol=1e-4)
    assert (by_kernel.num_dead_units, by_kernel.num_units) == (0, 3)


class Dead(nn.Module):
    """Three of five units never fire."""

    @nn.compact
    def __call__(self, inputs, *, train=False):
        def bias(key, shape, dtype):
            return jnp.array([-99.0, 0, -99, 0, -99])

        x = nn.Dense(5, bias_init=bias, name="hidden")(inputs.reshape(len(inputs), -1))
        return nn.Dense(3, name="head")(nn.relu(x))


class Cut(nn.Module):
    """Nothing flows back into the first layer."""

    @nn.compact
    def __call__(self, inputs, *, train=False):
        x = nn.Dense(5, name="hidden")(inputs.reshape(len(inputs), -1))
        return nn.Dense(3, name="head")(jax.lax.stop_gradient(x))


CASES = {
    "nothing can be learnt": (
        fdl.models.linear(3),
        optax.sgd(0.1),
        {"batch": {**BATCH, "image": jnp.zeros((8, 4, 4, 1))}},
        "stays at 1.08 since step",
    ),
    "a rate of zero": (
        fdl.models.linear(3),
        optax.sgd(0.0),
        {},
        "head/kernel does not move: frozen, or a learning rate of zero",
    ),
    "a rate too low": (
        fdl.models.linear(3),
        optax.adam(1e-8),
        {},
        r"the parameters moved by \S+ of their norm only: try a higher learning rate",
    ),
    "a rate that is low": (
        fdl.models.MLP((32,), 3),
        optax.adam(1e-3),
        {"num_steps": 40},
        "the loss still falls: try more steps",
    ),
    "a rate too high": (
        fdl.models.MLP((8,), 3),
        optax.sgd(300.0),
        {"num_steps": 40},
        r"^the loss is (inf|nan) at step \d+: try a lower learning rate",
    ),
    "a loss that is not a number": (
        fdl.models.linear(3),
        optax.adam(1e-2),
        {"batch": {**BATCH, "label": jnp.full(8, 5)}},
        "^the loss is nan at step 1;",
    ),
    "dead units": (
        Dead(),
        optax.sgd(1e-3),
        {"num_steps": 9},
        "3 of 5 units of hidden/kernel are d",
    ),
    "no way back": (
        Cut(),
        optax.adam(1e-3),
        {"num_steps": 20},
        "no gradient reaches hidden/kernel, from the beginning on",
    ),
    "noise": (
        fdl.models.MLP((64,), 3, dropout=0.9),
        optax.adam(1e-2),
        {"num_steps": 100},
        "as in evaluation the loss is .*: the noise of training .dropout",
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.some(3)
def test_it_says_what_stands_in_the_way(case):
    module, optimizer, options, expected = CASES[case]
    text = told(attempt(module, optimizer, **options))
    assert re.search(expected, text), text


def test_what_dropout_drops_is_not_dead():
    wide = fdl.models.MLP((64,), 3, activation=nn.tanh, dropout=0.9)
    result = attempt(wide, optax.sgd(1e-3), num_steps=5)
    assert [leaf.num_dead_units for leaf in result.leaves] == [0] * 4


def test_a_loss_that_jumps_about_is_told():
    losses = np.append(np.linspace(2, 0.5, 40), np.tile([0.5, 2.0], 10))
    (line,) = diagnose_overfit(Overfit(losses, target=0.02, eval_loss=0.7, leaves=[]))
    assert line.startswith("the loss jumps about or rises, 0.5 to 2 in the last quart")


def test_a_gradient_that_vanishes_is_told():
    leaves = [
        LeafStats("low", 1e-9, 1e-9, 1, 1, 0, 3),
        LeafStats("high", 1, 1, 1, 1, 0, 3),
    ]
    flat = Overfit(np.full(100, 0.7), target=0.007, eval_loss=0.7, leaves=leaves)
    assert diagnose_overfit(flat)[1:] == [
        "the gradient of low vanishes: 1e-09 of the largest",
    ]


def test_a_learner_without_a_loss_is_told():
    def step(state, batch):
        return state, {"lost": 1.0}

    with pytest.raises(UserError, match=r"among them\. Did you mean 'lost'"):
        overfit(Learner(None, step, objective=step), {}, BATCH)
