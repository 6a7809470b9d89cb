import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import optim
from fdl.errors import UserError

WEIGHTS = {"kernel": jnp.ones((2, 3)), "bias": jnp.zeros(3)}
GOOD = jax.tree.map(jnp.ones_like, WEIGHTS)
BAD = {**GOOD, "bias": jnp.array([0.0, jnp.nan, 0.0])}


@pytest.mark.parametrize("value", [jnp.nan, jnp.inf, -jnp.inf])
def test_a_step_that_is_not_finite_changes_nothing(value):
    optimizer = optim.chain("adam", num_steps=9, skip_nonfinite=2)
    update = jax.jit(optimizer.update)
    _, before = update(GOOD, optimizer.init(WEIGHTS), WEIGHTS)
    bad = {**GOOD, "bias": jnp.array([0.0, value, 0.0])}
    updates, after = update(bad, before, WEIGHTS)
    assert before.accepted and not after.accepted
    chex.assert_trees_all_equal(updates, jax.tree.map(jnp.zeros_like, WEIGHTS))
    chex.assert_trees_all_equal(before.inner, after.inner)
    chex.assert_trees_all_equal_shapes_and_dtypes(before, after)
    # The next good one goes on as if there had been none.
    on, straight = (update(GOOD, state, WEIGHTS)[0] for state in (after, before))
    chex.assert_trees_all_equal(on, straight)


@pytest.mark.parametrize("options", [{"skip_nonfinite": 2}, {"loss_scale": 4.0}])
def test_a_skipped_step_does_not_touch_what_is_frozen(options):
    optimizer = optim.chain("sgd", num_steps=9, freeze="bias", **options)
    state, update = optimizer.init(WEIGHTS), jax.jit(optimizer.update)
    updates, state = update(BAD, state, WEIGHTS)  # The bias has the NaN.
    chex.assert_trees_all_equal(updates["bias"], jnp.zeros(3))
    chex.assert_tree_all_finite(update(GOOD, state, WEIGHTS)[0])


def test_only_so_many_are_skipped_in_a_row():
    optimizer = optim.chain("sgd", num_steps=9, skip_nonfinite=2)
    update, state, accepted = jax.jit(optimizer.update), optimizer.init(WEIGHTS), []
    for grads in (BAD, BAD, GOOD, BAD, BAD, BAD):
        updates, state = update(grads, state, WEIGHTS)
        accepted.append(bool(optimizer.report(state).accepted))
    assert accepted == [False, False, True, False, False, True]
    assert np.isnan(updates["bias"]).any()


def test_a_loss_scale_is_halved_by_overflow_and_doubled_by_patience():
    inner = optim.chain("sgd", num_steps=99)
    optimizer = optim.skip_nonfinite_updates(inner, loss_scale=4.0, growth_every=3)
    update, state = jax.jit(optimizer.update), optimizer.init(WEIGHTS)
    scales, accepted = [], []
    for good in (1, 1, 0, 1, 1, 1, 1, 0, 0, 0, 0):
        _, state = update(GOOD if good else BAD, state, WEIGHTS)
        scales.append(float(state.loss_scale))
        accepted.append(bool(state.accepted))
    assert scales == [4, 4, 2, 2, 2, 4, 4, 2, 1, 1, 1]
    # At a scale of one it is no overflow any more, and is let through.
    assert accepted == [True, True, False, *[True] * 4, False, False, True, True]


def test_a_loss_scale_stays_finite_however_long_nothing_overflows():
    inner = optim.chain("sgd", num_steps=99)
    optimizer = optim.skip_nonfinite_updates(inner, loss_scale=2.0**120, growth_every=1)
    update, state, scales = jax.jit(optimizer.update), optimizer.init(WEIGHTS), []
    for good in (*[True] * 10, False):
        _, state = update(GOOD if good else BAD, state, WEIGHTS)
        scales.append(float(state.loss_scale))
    # The largest power of two in float32 is 2^127.
    assert scales == [*(2.0**n for n in range(121, 128)), *[2.0**127] * 3, 2.0**126]


def test_without_a_guard_nothing_is_known_of_it():
    optimizer = optim.chain("sgd", num_steps=9)
    report = optimizer.report(optimizer.init(WEIGHTS))
    assert report.accepted is None and report.loss_scale is None


@pytest.mark.parametrize(
    "options, message",
    [
        ({"skip_nonfinite": -1}, "skip_nonfinite=-1"),
        ({"loss_scale": 0.5}, "=0.5"),
        ({"loss_scale": float("inf")}, "=inf"),
        ({"loss_scale": float("nan")}, "=nan"),
    ],
)
def test_limits_that_make_no_sense_are_errors(options, message):
    with pytest.raises(UserError, match=message):
        optim.chain(num_steps=9, **options)
