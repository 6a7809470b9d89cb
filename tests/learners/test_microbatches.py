"""Gradients in parts equal those of the whole, whatever counts in which part."""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fdl
from fdl import losses, models, objectives, train
from fdl.errors import UserError
from fdl.learners.microbatches import gradient
from fdl.types import Mean

PROGRAMS = 160

RANDOM = np.random.default_rng(0)
BATCH = {
    "features": jnp.asarray(RANDOM.normal(size=(12, 4)), jnp.float32),
    "label": jnp.asarray(RANDOM.integers(3, size=12), jnp.int32),
}
MASKS = {
    "equal": np.ones(12),
    "unequal": np.array([1, 1, 1, 1, 1, 0, 1, 0, 1, 1, 0, 0]),
    "weights": RANDOM.uniform(size=12),
    "a part without": np.tile([1, 0, 1], 4),
    "one": np.eye(12)[4],
    "none": np.zeros(12),
}
QUICK = dict(zip(MASKS, (3, 4, 2, 4, 12, 2), strict=True))  # Parts, by default.
MODEL = models.functional(models.MLP((5,), 3), BATCH["features"][:1])
OBJECTIVE = objectives.classification(MODEL, inputs="features")
L2 = partial(losses.l2_penalty, strength=0.05)
KEY = jax.random.key(0)
VARIABLES = jax.jit(MODEL.init)(KEY)


def careless(variables, batch, key=None, *, train=False):
    """An objective whose loss is NaN where nothing counts."""
    loss, (state, metrics) = OBJECTIVE(variables, batch, key, train=train)
    return loss + 0 * metrics["loss"].compute(), (state, metrics)


@pytest.mark.parametrize(
    "mask, num_microbatches",
    [
        pytest.param(mask, n, marks=[] if n == QUICK[mask] else pytest.mark.slow)
        for mask in MASKS
        for n in (2, 3, 4, 12)
    ],
)
@pytest.mark.some(3)
def test_parts_equal_the_whole_under_any_mask(mask, num_microbatches):
    batch = {**BATCH, "mask": jnp.asarray(MASKS[mask], jnp.float32)}
    in_parts = OBJECTIVE if mask == "none" else careless
    whole, parts = (
        jax.jit(gradient(objectives.penalised(objective, L2), n))(
            VARIABLES, batch, KEY, None
        )
        for objective, n in ((OBJECTIVE, 1), (in_parts, num_microbatches))
    )
    whole.metrics["penalty"], parts.metrics["penalty"] = (
        x.metrics["penalty"].compute() for x in (whole, parts)
    )
    chex.assert_trees_all_close(parts, whole, rtol=1e-5, atol=1e-6)
    if mask == "none":  # Only the penalty is left.
        expected = jax.grad(L2)(VARIABLES["params"])
        chex.assert_trees_all_close(parts.grads, expected, rtol=1e-6)


@pytest.mark.parametrize("n", [1, 3])
def test_a_scale_saves_small_gradients_of_parameters_in_half_precision(n):
    def small(variables, batch, key=None, *, train=False):
        loss = 1e-9 * variables["params"].astype(jnp.float32) * batch.mean()
        return loss, ({}, {"loss": Mean(loss, jnp.float32(1))})

    variables, batch = {"params": jnp.ones((), jnp.float16)}, jnp.ones(6)
    found = jax.jit(gradient(small, n))(variables, batch, KEY, jnp.float32(2**15))
    np.testing.assert_allclose(found.grads, 1e-9, rtol=2e-3)


def test_a_scale_is_in_the_loss_but_not_in_the_gradient():
    plain, scaled, parts = (
        jax.jit(gradient(OBJECTIVE, n))(VARIABLES, BATCH, KEY, scale)
        for n, scale in ((1, None), (1, jnp.float32(2**15)), (3, jnp.float32(2**15)))
    )
    chex.assert_trees_all_close(plain, scaled, rtol=1e-6)
    chex.assert_trees_all_close(plain, parts, rtol=1e-5, atol=1e-6)


def test_parts_see_keys_of_their_own_and_the_state_of_those_before():
    def counting(variables, batch, key=None, *, train=False):
        seen = variables["seen"]
        noise = jax.random.uniform(key)
        count = {"seen": {"sum": seen["sum"] + batch.sum(), "parts": seen["parts"] + 1}}
        loss = variables["params"] * noise
        return loss, (count, {"loss": Mean(noise, jnp.float32(1))})

    seen = {"sum": jnp.float32(0), "parts": jnp.float32(0)}
    variables = {"params": jnp.float32(1), "seen": seen}
    batch = jnp.arange(6.0)
    found = jax.jit(gradient(counting, 3))(variables, batch, KEY, None)
    assert found.model_state == {"seen": {"sum": 15, "parts": 3}}
    noises = [float(jax.random.uniform(jax.random.fold_in(KEY, i))) for i in range(3)]
    assert len(set(noises)) == 3
    np.testing.assert_allclose(found.grads, np.mean(noises), rtol=1e-6)


def test_low_precision_is_added_up_in_float32():
    def tiny(variables, batch, key=None, *, train=False):
        loss = (variables["params"] * batch).sum().astype(jnp.float32)
        return loss, ({}, {"loss": Mean(loss, jnp.float32(1))})

    variables = {"params": jnp.ones((), jnp.bfloat16)}
    batch = jnp.full(1024, 1.0, jnp.bfloat16).at[0].set(256.0)
    found = jax.jit(gradient(tiny, 1024))(variables, batch, KEY, None)
    np.testing.assert_allclose(found.grads, (256 + 1023) / 1024, rtol=1e-5)


def test_parts_take_the_memory_of_one():
    module = models.MLP((256, 256), 3)
    model = models.functional(module, jnp.zeros((1, 64)))
    objective = objectives.classification(model, inputs="features")
    batch = {
        "features": jax.ShapeDtypeStruct((4096, 64), jnp.float32),
        "label": jax.ShapeDtypeStruct((4096,), jnp.int32),
    }
    variables = jax.eval_shape(model.init, KEY)

    def memory(n):
        compiled = jax.jit(gradient(objective, n)).lower(variables, batch, KEY, None)
        return compiled.compile().memory_analysis().temp_size_in_bytes

    assert memory(16) < memory(1) / 4


def test_a_learner_in_parts_goes_where_one_in_whole_goes():
    source = {name: np.asarray(x) for name, x in BATCH.items()}
    batches = fdl.data.batches(source, 8)  # The second of two is filled up and masked.
    params = [
        train.run(
            fdl.gradient_learner(
                MODEL, OBJECTIVE, optax.adam(1e-2), num_microbatches=n
            ),
            batches,
            num_steps=6,
            steps_per_call=call,
        ).params
        for n, call in ((1, 1), (4, 3))
    ]
    chex.assert_trees_all_close(params[0], params[1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "n, message", [(0, "num_microbatches=0"), (5, "=5: expected a divisor of .* 12")]
)
def test_a_batch_has_to_be_divisible(n, message):
    with pytest.raises(UserError, match=message):
        gradient(OBJECTIVE, n)(VARIABLES, BATCH, KEY, None)
