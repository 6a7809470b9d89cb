from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.distributions import categorical
from fdl.objectives.ppo import ppo
from fdl.types import Model

DISTRIBUTION = categorical()
RNG = np.random.default_rng(0)
PARAMS = {
    "policy": RNG.normal(size=(4, 3)).astype(np.float32),
    "value": RNG.normal(size=4).astype(np.float32),
}
BATCH: dict[str, Any] = {
    "observation": RNG.normal(size=(64, 4)).astype(np.float32),
    "action": RNG.integers(3, size=64).astype(np.int32),
    "advantage": RNG.normal(2.0, 3.0, size=64).astype(np.float32),
    "return": RNG.normal(size=64).astype(np.float32),
}


def apply(variables, observation, key=None, train=False):
    params = variables["params"]
    return (observation @ params["policy"], observation @ params["value"]), {}


MODEL = Model(lambda key: {"params": PARAMS}, apply)


def log_prob(params):
    return DISTRIBUTION.log_prob(
        BATCH["observation"] @ params["policy"], BATCH["action"]
    )


def value_and_grad(objective, shift):
    """Of a batch that was acted out by a policy whose parameters were others."""
    old = log_prob({"policy": PARAMS["policy"] + shift})

    def loss_fn(params):
        return objective({"params": params}, {**BATCH, "log_prob": old}, train=True)

    return jax.jit(jax.value_and_grad(loss_fn, has_aux=True))(PARAMS)


def advantage():
    return (BATCH["advantage"] - BATCH["advantage"].mean()) / BATCH["advantage"].std()


def test_at_ratio_one_its_gradient_is_that_of_the_policy_gradient():
    objective = ppo(MODEL, DISTRIBUTION, value_cost=0.0, entropy_cost=0.0)
    (_, (_, metrics)), actual = value_and_grad(objective, shift=0.0)
    expected = jax.grad(lambda params: -(log_prob(params) * advantage()).mean())(PARAMS)
    chex.assert_trees_all_close(actual, expected, atol=1e-5)
    assert metrics["clip_fraction"].compute() == 0
    assert abs(metrics["approx_kl"].compute()) < 1e-6


def test_the_divergence_of_a_near_policy_keeps_its_digits():
    shift = 1e-4 * SHIFT
    (_, (_, metrics)), _ = value_and_grad(ppo(MODEL, DISTRIBUTION), shift)
    with jax.enable_x64(True):
        policy = jnp.asarray(PARAMS["policy"], jnp.float64)
        new, old = log_prob({"policy": policy}), log_prob({"policy": policy + shift})
        expected = (jnp.exp(new - old) - 1 - (new - old)).mean()
    np.testing.assert_allclose(metrics["approx_kl"].compute(), expected, rtol=0.02)


SHIFT = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)


def test_without_a_clip_it_weighs_by_importance():
    objective = ppo(MODEL, DISTRIBUTION, clip=np.inf, value_cost=0.0, entropy_cost=0.0)
    (loss, _), actual = value_and_grad(objective, SHIFT)
    old = log_prob({"policy": PARAMS["policy"] + SHIFT})

    def weighted(params):
        return -(jnp.exp(log_prob(params) - old) * advantage()).mean()

    expected = jax.value_and_grad(weighted)(PARAMS)
    chex.assert_trees_all_close((loss, actual), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("clip", [0.1, 0.3])
def test_the_loss_and_what_it_watches_match_their_definitions(clip):
    objective = ppo(MODEL, DISTRIBUTION, clip=clip, value_cost=0.7, entropy_cost=0.2)
    (loss, (_, metrics)), _ = value_and_grad(objective, SHIFT)

    logits = (BATCH["observation"] @ PARAMS["policy"]).astype(np.float64)
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    old_logits = BATCH["observation"] @ (PARAMS["policy"] + SHIFT)
    q = np.exp(old_logits) / np.exp(old_logits).sum(-1, keepdims=True)
    rows = np.arange(64)
    ratio = p[rows, BATCH["action"]] / q[rows, BATCH["action"]]
    gain = np.minimum(
        ratio * advantage(), np.clip(ratio, 1 - clip, 1 + clip) * advantage()
    )
    error = BATCH["observation"] @ PARAMS["value"] - BATCH["return"]
    expected = {
        "policy_loss": -gain.mean(),
        "value_loss": 0.5 * (error**2).mean(),
        "entropy": -(p * np.log(p)).sum(-1).mean(),
        "approx_kl": (ratio - 1 - np.log(ratio)).mean(),
        "clip_fraction": (np.abs(ratio - 1) > clip).mean(),
    }
    expected["loss"] = (
        expected["policy_loss"]
        + 0.7 * expected["value_loss"]
        - 0.2 * expected["entropy"]
    )
    actual = {name: metric.compute() for name, metric in metrics.items()}
    chex.assert_trees_all_close(actual, expected, rtol=1e-3)
    chex.assert_trees_all_close(loss, actual["loss"])
    assert {metric.weight.item() for metric in metrics.values()} == {64}


def test_a_clipped_value_does_not_improve_beyond_its_clip():
    values = BATCH["observation"] @ PARAMS["value"]
    old = values + RNG.normal(size=64).astype(np.float32)
    log_prob_ = log_prob(PARAMS)
    batch = {**BATCH, "log_prob": log_prob_, "value": old}
    objective = ppo(MODEL, DISTRIBUTION, value_clip=0.3)
    _, (_, metrics) = jax.jit(objective)({"params": PARAMS}, batch)
    near = old + np.clip(values - old, -0.3, 0.3)
    worse = np.maximum((values - BATCH["return"]) ** 2, (near - BATCH["return"]) ** 2)
    chex.assert_trees_all_close(
        metrics["value_loss"].compute(), 0.5 * worse.mean(), rtol=1e-4
    )


def test_clip_and_entropy_cost_follow_schedules_of_the_rollouts():
    halved = {
        "clip": lambda step: 0.2 * 0.5**step,
        "entropy_cost": lambda step: 0.1 * 0.5**step,
    }
    old = log_prob({"policy": PARAMS["policy"] + SHIFT})
    batch = {**BATCH, "log_prob": old}
    step = np.full(64, 2, np.int32)
    found = jax.jit(ppo(MODEL, DISTRIBUTION, **halved))(
        {"params": PARAMS}, {**batch, "step": step}
    )
    constant = ppo(MODEL, DISTRIBUTION, clip=0.05, entropy_cost=0.025)
    expected = jax.jit(constant)({"params": PARAMS}, batch)
    chex.assert_trees_all_close(found, expected, rtol=1e-5)
