"""The range test: rates as asked, steps as if configured so, an end where it rises."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fdl
from fdl.diagnostics.lr_range_test import (
    LRRangeTest,
    lr_range_test,
    smooth,
    step_at_rate,
)
from fdl.errors import UserError

PROGRAMS = 180

KEY = jax.random.key(0)
BATCH = {
    "image": jax.random.normal(KEY, (8, 4, 4, 1)),
    "label": jnp.arange(8) % 3,
}


def learner_of(optimizer):
    model = fdl.models.functional(fdl.models.MLP((8,), 3), BATCH["image"][:1])
    objective = fdl.objectives.classification(model)
    return fdl.gradient_learner(model, objective, optimizer)


OPTIMIZERS = {
    "sgd": optax.sgd,
    "nesterov": functools.partial(optax.sgd, momentum=0.9, nesterov=True),
    "adamw": functools.partial(optax.adamw, weight_decay=0.1),
    "lion": optax.lion,
    "clipped": lambda rate: optax.chain(
        optax.clip_by_global_norm(0.1), optax.rmsprop(rate)
    ),
}
QUICK = {"sgd", "clipped"}
RATES = jnp.array([0.1, 1e-4, 0.02])


def follow(learner, step):
    state = jax.jit(learner.init)(KEY)
    for rate in RATES:
        state, _ = step(state, BATCH, rate)
    return jax.tree.leaves(state.params)


@pytest.mark.parametrize(
    "optimizer",
    [
        pytest.param(make, id=name, marks=[] if name in QUICK else pytest.mark.slow)
        for name, make in OPTIMIZERS.items()
    ],
)
def test_steps_at_rates_are_those_of_a_schedule_of_them(optimizer):
    scheduled = learner_of(optimizer(lambda step: RATES[step]))
    plain = jax.jit(scheduled.step)
    expected = follow(scheduled, lambda state, batch, rate: plain(state, batch))
    learner = learner_of(optimizer(3e-3))
    actual = follow(learner, jax.jit(step_at_rate(learner, 3e-3)))
    for ours, theirs in zip(actual, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-6)


def test_a_chain_may_have_any_rate_and_schedule():
    scheduled = learner_of(optax.adam(lambda step: RATES[step]))
    plain = jax.jit(scheduled.step)
    expected = follow(scheduled, lambda state, batch, rate: plain(state, batch))
    learner = learner_of(fdl.optim.chain("adam", 7.0, num_steps=9, schedule="cosine"))
    actual = follow(learner, jax.jit(step_at_rate(learner)))
    for ours, theirs in zip(actual, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=5e-6)


def test_a_plain_optimizer_needs_its_rate_said():
    learner = learner_of(optax.adam(0.5))
    state = jax.jit(learner.init)(KEY)
    with pytest.raises(UserError, match="configured=None: expected the learning rate"):
        jax.eval_shape(step_at_rate(learner), state, BATCH, 0.1)
    expected, _ = jax.jit(learner_of(optax.adam(0.1)).step)(state, BATCH)
    actual, _ = jax.jit(step_at_rate(learner, 0.5))(state, BATCH, 0.1)
    for ours, theirs in zip(
        jax.tree.leaves(actual.params), jax.tree.leaves(expected.params), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_a_warmup_from_zero_moves_nothing_and_breaks_nothing():
    learner = learner_of(
        fdl.optim.chain("adam", learning_rate=0.1, num_steps=10, warmup=3)
    )
    state = jax.jit(learner.init)(KEY)
    step = jax.jit(step_at_rate(learner))
    after, _ = step(state, BATCH, 0.1)
    for old, new in zip(
        jax.tree.leaves(state.params), jax.tree.leaves(after.params), strict=True
    ):
        np.testing.assert_array_equal(old, new)
    last, metrics = step(after, BATCH, 0.1)
    assert np.isfinite(metrics["loss"].compute())
    assert np.isfinite(optax.tree.norm(last.params))


def quadratic(curvature):
    """One parameter at one, f = c w² / 2: gradient descent diverges above 2 / c."""
    model = fdl.types.Model(lambda key: {"params": {"w": jnp.ones(())}}, None)

    def objective(variables, batch, key=None, *, train=False):
        loss = curvature / 2 * variables["params"]["w"] ** 2
        return loss, ({}, {"loss": fdl.metrics.mean(loss[None])})

    return fdl.gradient_learner(model, objective, optax.sgd(1.0))


@pytest.mark.parametrize("curvature", [1.0, 100.0])
def test_on_a_parabola_it_ends_behind_the_rate_that_diverges(curvature):
    learner = quadratic(curvature)
    state = jax.jit(learner.init)(KEY)
    result = lr_range_test(
        learner, state, iter([None] * 100), configured=1.0, start=1e-5, end=1e3
    )
    ratios = result.rates[1:] / result.rates[:-1]
    np.testing.assert_allclose(ratios, 10 ** (8 / 99))
    w, losses = 1.0, []
    for rate in result.rates:
        losses.append(curvature / 2 * w**2)
        w -= rate * curvature * w
    np.testing.assert_allclose(result.losses, losses, rtol=1e-3, atol=1e-20)
    assert result.diverged and result.loss_decreased
    assert result.rates[-1] > 2 / curvature
    # Where it falls fastest, and a tenth of where it is lowest, are safe rates.
    assert 0.01 / curvature < result.rate_at_steepest < 2 / curvature
    assert 0.01 / curvature < result.suggested_rate < 2 / curvature


def test_a_loss_that_is_no_number_ends_it():
    learner = quadratic(1.0)
    state = jax.jit(learner.init)(KEY)._replace(params={"w": jnp.array(1e19)})
    result = lr_range_test(learner, state, iter([None] * 50), configured=1.0, start=3.0)
    assert result.diverged and len(result.losses) < 5
    assert np.isfinite(result.losses).all()
    assert len(result.rates) == len(result.losses) == len(result.smoothed)


def test_noise_on_the_flat_beginning_is_not_taken_for_a_fall():
    rates = 1e-6 * 1e7 ** (np.arange(100) / 99)
    fall = 1 / (1 + np.exp((np.arange(100) - 60) / 3))
    noise = 0.1 * np.random.default_rng(0).normal(size=100) * (np.arange(100) < 40)
    losses = 0.5 + fall + noise
    result = LRRangeTest(rates, losses, smooth(losses, 100), False)
    assert abs(np.log10(result.rate_at_steepest / rates[60])) < 0.25
    assert result.loss_decreased
    flat = LRRangeTest(rates, np.ones(100), np.ones(100), False)
    assert not flat.loss_decreased
    assert flat.rate_at_steepest == flat.rate_at_minimum == rates[0]


def test_smoothing_keeps_lines_and_hides_what_diverged():
    line = 2.0 - 0.01 * np.arange(100)
    np.testing.assert_allclose(smooth(line, 100)[20:80], line[20:80], rtol=1e-6)
    burst = np.append(line, 1e30)
    assert smooth(burst, 100).max() < 4
    assert smooth(np.array([]), 100).size == 0
