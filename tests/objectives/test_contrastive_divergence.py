"""Contrastive divergence by hand, of the samples that the model has drawn."""

import jax
import numpy as np
import pytest

from fdl import models, objectives
from fdl.errors import UserError

RANDOM = np.random.RandomState(0)
PARAMS = {
    "kernel": RANDOM.normal(size=(4, 3)).astype(np.float32),
    "visible_bias": RANDOM.normal(size=4).astype(np.float32),
    "hidden_bias": RANDOM.normal(size=3).astype(np.float32),
}
DATA = RANDOM.randint(2, size=(6, 4)).astype(np.float32)
MASK = np.array([1, 1, 0, 1, 0, 1], np.float32)
CHAINS = RANDOM.randint(2, size=(5, 4)).astype(np.float32)
VARIABLES = {"params": PARAMS, "chains": {"visible": CHAINS}}
MODEL = models.functional(models.RBM(3, (4,), num_chains=5))
KEY = jax.random.key(1)


def gradient(objective, batch, **options):
    run = jax.jit(jax.value_and_grad(objective, has_aux=True), static_argnames="train")
    return run(VARIABLES, batch, KEY, **options)


def expectations(states):
    """Of v h, v and h, with p(h = 1 | v) in place of h: −∂F / ∂θ, [N, ...]."""
    v = np.float64(states)
    h = 1 / (1 + np.exp(-v @ PARAMS["kernel"] - PARAMS["hidden_bias"]))
    return {
        "kernel": np.einsum("ni,nj->nij", v, h),
        "visible_bias": v,
        "hidden_bias": h,
    }


@pytest.mark.parametrize("persistent", [False, True])
def test_the_gradient_is_that_of_hinton(persistent):
    objective = objectives.contrastive_divergence(
        MODEL, inputs="x", num_steps=2, persistent=persistent
    )
    batch = {"x": DATA, "mask": MASK}
    (loss, (state, metrics)), grads = gradient(objective, batch, train=True)
    # The samples are those that the same key gives.
    samples, _ = jax.jit(
        lambda variables, start: MODEL.apply(
            variables, start, key=KEY, num_steps=2, method="gibbs"
        )
    )(VARIABLES, CHAINS if persistent else DATA)
    weights = np.full(5, 1 / 5) if persistent else MASK / MASK.sum()
    positive, negative = expectations(DATA), expectations(samples)
    for name, actual in grads["params"].items():
        expected = np.tensordot(weights, negative[name], 1)
        expected -= np.tensordot(MASK / MASK.sum(), positive[name], 1)
        np.testing.assert_allclose(actual, expected, atol=1e-6)
    after = samples if persistent else CHAINS
    np.testing.assert_array_equal(state["chains"]["visible"], after)
    np.testing.assert_allclose(metrics["loss"].compute(), loss, rtol=1e-5)
    assert float(metrics["loss"].weight) == 4
    evaluated, (state, _) = jax.jit(objective)(VARIABLES, batch, KEY)
    np.testing.assert_allclose(evaluated, loss, rtol=1e-5)
    np.testing.assert_array_equal(state["chains"]["visible"], CHAINS)


@pytest.mark.parametrize("persistent", [False, True])
def test_where_nothing_counts_nothing_is_learnt(persistent):
    objective = objectives.contrastive_divergence(
        MODEL, inputs="x", persistent=persistent
    )
    batch = {"x": DATA, "mask": np.zeros(6, np.float32)}
    (loss, _), grads = gradient(objective, batch)
    assert loss == 0
    assert all((x == 0).all() for x in jax.tree.leaves(grads["params"]))


def test_what_is_missing_is_told():
    make = objectives.contrastive_divergence
    with pytest.raises(UserError, match="num_steps=0: expected at least 1"):
        make(MODEL, num_steps=0)
    with pytest.raises(UserError, match="key=None: expected a key, which samples"):
        make(MODEL, inputs="x")(VARIABLES, {"x": DATA})
    with pytest.raises(UserError, match="persistent=True: expected variables with 'ch"):
        make(MODEL, inputs="x", persistent=True)({"params": PARAMS}, {"x": DATA}, KEY)
