import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fdl
from fdl import optim
from fdl.errors import RunError
from fdl.types import Mean, Model

PROGRAMS = 160

# The loss of w at x is (w − x)², its gradient 2(w − x): everything can be done by hand.
MODEL = Model(
    init=lambda key: {"params": jnp.float32(3.0)},
    apply=lambda variables, x, key=None, train=False: (variables["params"] - x, {}),
)


def objective(variables, batch, key=None, *, train=False):
    error, model_state = MODEL.apply(variables, batch)
    loss = jnp.square(error)
    return loss, (model_state, {"loss": Mean(loss, jnp.float32(1))})


LEARNER = fdl.gradient_learner(MODEL, objective, optax.sgd(0.25))


def test_a_gradient_step_goes_down_the_gradient():
    state = LEARNER.init(jax.random.key(0))
    state, metrics = jax.jit(LEARNER.step)(state, jnp.float32(1.0))
    assert state.params == 3.0 - 0.25 * 2 * (3.0 - 1.0)
    assert metrics["loss"].compute() == 4.0
    assert metrics["grad_norm"].compute() == 4.0
    assert state.step == 1


def test_each_step_sees_a_key_of_its_own_and_the_root_key_stays():
    seen = []

    def noting(variables, batch, key=None, *, train=False):
        seen.append(jax.random.key_data(key))
        return objective(variables, batch, key, train=train)

    learner = fdl.gradient_learner(MODEL, noting, optax.sgd(0.1))
    first = learner.init(jax.random.key(0))
    second, _ = learner.step(first, jnp.float32(1.0))
    third, _ = learner.step(second, jnp.float32(1.0))
    assert (seen[0] != seen[1]).any()
    assert third.key == first.key
    expected = jax.random.key_data(jax.random.fold_in(first.key, 1))
    np.testing.assert_array_equal(seen[1], expected)


@pytest.mark.parametrize("num_steps", [1, 3, 4])
def test_repeat_takes_as_many_steps_as_it_is_told(num_steps):
    batches = jnp.arange(4.0)
    repeated, metrics = jax.jit(fdl.repeat(LEARNER.step))(
        LEARNER.init(jax.random.key(0)), batches, num_steps
    )
    state, losses = LEARNER.init(jax.random.key(0)), []
    step = jax.jit(LEARNER.step)
    for batch in batches[:num_steps]:
        state, step_metrics = step(state, batch)
        losses.append(step_metrics["loss"].compute())
    assert repeated.params == state.params
    assert metrics["loss"].weight == num_steps
    chex.assert_trees_all_close(metrics["loss"].compute(), jnp.mean(jnp.stack(losses)))


def test_repeat_compiles_once_for_all_lengths():
    chex.clear_trace_counter()
    step = chex.assert_max_traces(LEARNER.step, n=1)
    steps = jax.jit(fdl.repeat(step))
    state = LEARNER.init(jax.random.key(0))
    for num_steps in (1, 2, 4):
        state, _ = steps(state, jnp.arange(4.0), num_steps)
    assert state.step == 7


def test_the_update_is_reported_as_a_share_of_the_weights_and_with_its_rate():
    optimizer = optim.chain("sgd", 0.25, num_steps=4, schedule="linear")
    learner = fdl.gradient_learner(MODEL, objective, optimizer)
    state, step = learner.init(jax.random.key(0)), jax.jit(learner.step)
    for i in range(4):
        before = state.params
        state, metrics = step(state, jnp.float32(1.0))
        ratio = abs((state.params - before) / before)
        np.testing.assert_allclose(metrics["update_ratio"].compute(), ratio, rtol=1e-5)
        rate = metrics["learning_rate"].compute()
        np.testing.assert_allclose(rate, 0.25 * (1 - i / 4), rtol=1e-6)
        np.testing.assert_allclose(before - state.params, rate * 2 * (before - 1))


def test_a_share_of_weights_that_are_zero_does_not_count():
    state = LEARNER.init(jax.random.key(0))._replace(params=jnp.float32(0))
    _, metrics = jax.jit(LEARNER.step)(state, jnp.float32(1.0))
    assert metrics["update_ratio"] == (0, 0)


def spoilt(variables, batch, key=None, *, train=False):
    """Its model state is what it saw last; a batch of NaN spoils all."""
    loss, (_, metrics) = objective(variables, batch, key, train=train)
    return loss, ({"seen": {"last": batch}}, metrics)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("optimizer", [optax.sgd(0.0), optim.chain("sgd", num_steps=9)])
def test_norms_of_half_precision_are_added_up_in_single(dtype, optimizer):
    model = MODEL._replace(init=lambda key: {"params": jnp.full(100, 3.0, dtype)})
    learner = fdl.gradient_learner(model, total, optimizer)
    state = jax.jit(learner.init)(jax.random.key(0))
    _, metrics = jax.jit(fdl.repeat(learner.step))(state, jnp.ones(1000), 1000)
    # Half precision counts 0, 1, ... 256, and no further; and 1000 squared is too much.
    np.testing.assert_allclose(metrics["grad_norm"].compute(), 1000, rtol=1e-3)
    assert {m.total.dtype for m in metrics.values()} == {jnp.dtype("float32")}


def total(variables, batch, key=None, *, train=False):
    loss = 100.0 * variables["params"].sum(dtype=jnp.float32)
    return loss, ({}, {"loss": Mean(loss, jnp.float32(1))})


def test_a_skipped_step_leaves_no_trace_but_the_count_of_it():
    optimizer = optim.chain("adam", 0.1, num_steps=9, skip_nonfinite=2, ema=0.5)
    model = MODEL._replace(
        init=lambda key: {"params": jnp.float32(3), "seen": {"last": jnp.float32(0)}}
    )
    learner = fdl.gradient_learner(model, spoilt, optimizer)
    step = jax.jit(learner.step)
    before, _ = step(learner.init(jax.random.key(0)), jnp.float32(1.0))
    after, metrics = step(before, jnp.float32(jnp.nan))
    assert after.step == 2
    assert (after.params, after.model_state) == (before.params, before.model_state)
    chex.assert_trees_all_equal(after.opt_state.inner, before.opt_state.inner)
    assert metrics.pop("skipped").compute() == 1
    for metric in metrics.values():
        assert metric == (0, 0)
    last, metrics = step(after, jnp.float32(1.0))
    assert metrics["skipped"].compute() == 0 and metrics["loss"].weight == 1
    straight, _ = step(before._replace(step=after.step), jnp.float32(1.0))
    assert last.params == straight.params


def test_a_run_survives_bad_batches_and_gives_up_when_all_are_bad():
    def batches(bad):
        return fdl.types.Batches(
            lambda start: (
                np.float32(np.nan if i in bad else 1) for i in itertools.count(start)
            )
        )

    optimizer = optim.chain("sgd", 0.1, num_steps=9, skip_nonfinite=3)
    learner, rows = fdl.gradient_learner(MODEL, objective, optimizer), []

    def run(bad):
        return fdl.train.run(
            learner,
            batches(bad),
            num_steps=9,
            log_every=9,
            log=lambda step, row: rows.append(row),
        )

    state, clean = run({0, 4, 5, 6}), run({})
    assert rows[0]["skipped"] == np.float32(4 / 9) and np.isfinite(rows[0]["loss"])
    np.testing.assert_allclose(state.params - 1, 2 * 0.8**5, rtol=1e-5)
    np.testing.assert_allclose(clean.params - 1, 2 * 0.8**9, rtol=1e-5)
    with pytest.raises(RunError, match="step 4"):
        run(set(range(9)))


def halves(variables, batch, key=None, *, train=False):
    """A product in float16, whose gradient is too small for it."""
    w, x = (jnp.float16(v) for v in (variables["params"], batch))
    loss = jnp.float32(w * x * jnp.float16(2**-10)) * 2**-15
    return loss, ({}, {"loss": Mean(loss, jnp.float32(1))})


@pytest.mark.parametrize("num_microbatches", [1, 2])
def test_a_loss_scale_saves_what_float16_would_lose(num_microbatches):
    def params_after(x, **options):
        optimizer = optim.chain("sgd", 2.0**25, num_steps=9, **options)
        learner = fdl.gradient_learner(
            MODEL, sums, optimizer, num_microbatches=num_microbatches
        )
        state = learner.init(jax.random.key(0))
        return jax.jit(learner.step)(state, jnp.full(2, x, jnp.float32))

    def sums(variables, batch, key=None, *, train=False):
        loss, (_, metrics) = halves(variables, batch.mean(), key, train=train)
        return loss, ({}, metrics)

    lost, _ = params_after(1.0)
    saved, metrics = params_after(1.0, loss_scale=2.0**15)
    assert lost.params == 3 and saved.params == 2
    assert metrics["loss_scale"].compute() == 2**15
    np.testing.assert_allclose(metrics["loss"].compute(), 3 * 2.0**-25, rtol=1e-5)


def test_an_overflow_halves_the_scale_and_is_not_seen():
    def large(variables, batch, key=None, *, train=False):
        w = jnp.float16(variables["params"])
        loss = jnp.float32(w * w)
        return loss, ({}, {"loss": Mean(loss, jnp.float32(1))})

    optimizer = optim.chain("sgd", 0.25, num_steps=9, loss_scale=2.0**15)
    learner = fdl.gradient_learner(MODEL, large, optimizer)
    state, step = learner.init(jax.random.key(0)), jax.jit(learner.step)
    skipped, scales = [], []
    for _ in range(4):  # 2w · scale is at most 65,504.
        state, metrics = step(state, jnp.float32(0))
        skipped.append(int(metrics["skipped"].compute()))
        scales.append(int(metrics["loss_scale"].compute()))
        assert np.isfinite(jax.tree.leaves(metrics)).all()
    assert skipped == [1, 1, 0, 0] and scales == [2**15, 2**14, 2**13, 2**13]
    assert state.params == 3 / 4


@pytest.mark.parametrize("num_microbatches", [1, 2])
@pytest.mark.parametrize("freeze", [(), "fixed"])
@pytest.mark.some(1)
def test_a_line_search_sees_the_loss_of_this_batch(freeze, num_microbatches):
    def rosenbrock(variables, batch, key=None, *, train=False):
        x, y = variables["params"]["free"]
        loss = (1 - x) ** 2 + 100 * (y - x**2) ** 2 + 0 * batch.sum()
        loss += jnp.square(variables["params"]["fixed"] - 1).sum()
        return loss, ({}, {"loss": Mean(loss, jnp.float32(batch.size))})

    start = {"free": jnp.array([-1.2, 1.0]), "fixed": jnp.zeros(3)}
    model = MODEL._replace(init=lambda key: {"params": start})
    optimizer = optim.chain("lbfgs", None, num_steps=9, freeze=freeze)
    learner = fdl.gradient_learner(
        model, rosenbrock, optimizer, num_microbatches=num_microbatches
    )
    state, _ = jax.jit(fdl.repeat(learner.step))(
        jax.jit(learner.init)(jax.random.key(0)), jnp.zeros((60, 2)), 60
    )
    np.testing.assert_allclose(state.params["free"], [1, 1], atol=2e-3)
    fixed = np.zeros(3) if freeze else np.ones(3)
    np.testing.assert_allclose(state.params["fixed"], fixed, atol=1e-3)


def test_plain_optimizers_of_optax_that_ask_for_more_get_it():
    sam = optax.contrib.sam(
        optax.sgd(0.25),
        optax.chain(optax.contrib.normalize(), optax.sgd(0.1)),
        opaque_mode=True,
    )
    sam = sam._replace(  # It refuses what it does not know.
        update=lambda g, s, p, *, grad_fn, update=sam.update, **_: update(
            g, s, p, grad_fn=grad_fn
        )
    )
    for optimizer, expected in ((optax.lbfgs(), 1.0), (sam, 3 - 0.25 * 2 * 2.1)):
        learner = fdl.gradient_learner(MODEL, objective, optimizer)
        state, step = jax.jit(learner.init)(jax.random.key(0)), jax.jit(learner.step)
        for _ in range(1 if optimizer is sam else 5):
            state, _ = step(state, jnp.float32(1.0))
        np.testing.assert_allclose(state.params, expected, rtol=1e-4)


def test_no_second_step_is_traced_for_lack_of_a_type():
    traces = []

    def noting(variables, batch, key=None, *, train=False):
        traces.append(1)
        return objective(variables, batch, key, train=train)

    learner = fdl.gradient_learner(MODEL, noting, optax.lbfgs())
    state, step = jax.jit(learner.init)(jax.random.key(0)), jax.jit(learner.step)
    state, _ = step(state, jnp.float32(1.0))
    first = len(traces)
    step(state, jnp.float32(1.0))
    assert len(traces) == first
