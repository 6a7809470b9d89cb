"""A recurrent carry goes on from batch to batch, and no gradient with it."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import models
from fdl.errors import UserError

TOKENS = np.random.default_rng(0).integers(7, size=(3, 4)).astype(np.int32)
MORE = np.random.default_rng(1).integers(7, size=(3, 4)).astype(np.int32)
NONE = np.zeros(3, bool)
MODULE = models.RNNLanguageModel(4, 2, vocab_size=7, embedding_size=3)
MODEL = models.functional(MODULE)
STATEFUL = models.stateful(MODEL, 3)

init = jax.jit(STATEFUL.init)
evaluate = jax.jit(STATEFUL.apply)
plain = jax.jit(MODEL.apply)


@jax.jit
def train(variables, tokens, reset):
    return STATEFUL.apply(variables, tokens, reset=reset, train=True)


def test_a_text_in_parts_is_as_the_whole_text():
    variables = init(jax.random.key(0))
    first, state = train(variables, TOKENS, NONE)
    second, state = train({**variables, **state}, MORE, NONE)
    chex.assert_trees_all_equal_shapes_and_dtypes({**variables, **state}, variables)
    whole, _ = plain({"params": variables["params"]}, np.hstack([TOKENS, MORE]))
    parts = jnp.concatenate([first, second], axis=1)
    np.testing.assert_allclose(parts, whole, rtol=1e-5, atol=1e-6)


def test_rows_that_are_reset_start_from_zeros_whatever_the_carry_was():
    variables = init(jax.random.key(0))
    fresh, state = train(variables, TOKENS, NONE)
    state["carry"]["0"] = state["carry"]["0"].at[1].set(jnp.nan)
    after = {**variables, **state}
    some, _ = train(after, TOKENS, np.array([False, True, False]))
    none, _ = train(after, TOKENS, NONE)
    np.testing.assert_array_equal(some[1], fresh[1])
    np.testing.assert_array_equal(some[::2], none[::2])
    assert (some[0] != fresh[0]).any() and jnp.isnan(none[1]).all()


def test_no_gradient_flows_into_the_batch_before():
    variables = init(jax.random.key(0))

    def loss(params, tokens, more):
        carry = variables["carry"]
        for part in (tokens, more):
            now = {"params": params, "carry": carry}
            logits, state = STATEFUL.apply(now, part, train=True)
            carry = state["carry"]
        return jnp.square(logits).mean()

    def loss_of_second(params, more, carry):
        logits, _ = MODEL.apply({"params": params}, more, initial_carry=carry)
        return jnp.square(logits).mean()

    @jax.jit
    def both(params, tokens, more):
        _, carry = MODULE.apply({"params": params}, tokens, return_carry=True)
        expected = jax.grad(loss_of_second)(params, more, carry)
        return jax.grad(loss)(params, tokens, more), expected

    grads, expected = both(variables["params"], TOKENS, MORE)
    chex.assert_trees_all_close(grads, expected, rtol=1e-5, atol=1e-7)


def test_evaluation_of_any_size_starts_from_zeros_and_changes_nothing():
    variables = init(jax.random.key(0))
    ones = jax.tree.map(jnp.ones_like, variables["carry"])
    logits, state = evaluate({**variables, "carry": ones}, TOKENS[:1], reset=NONE[:1])
    expected, _ = plain({"params": variables["params"]}, TOKENS[:1])
    np.testing.assert_array_equal(logits, expected)
    chex.assert_trees_all_equal(state, {"carry": ones})


@pytest.mark.parametrize(
    "module, message",
    [
        (models.MLP((2,), 3), "model of MLP: expected a recurrent network"),
        (models.RNN(2, bidirectional=True), "bidirectional=True: expected one"),
    ],
)
def test_networks_without_a_carry_are_refused(module, message):
    with pytest.raises(UserError, match=message):
        models.stateful(models.functional(module), 3)


def test_batches_of_another_size_are_refused_in_training():
    variables = jax.eval_shape(STATEFUL.init, jax.random.key(0))
    with pytest.raises(UserError, match="batch_size=3: expected 2, the number of rows"):
        STATEFUL.apply(variables, TOKENS[:2], train=True)
    with pytest.raises(UserError, match="expected 'carry'"):
        STATEFUL.apply({"params": variables["params"]}, TOKENS, train=True)
