"""A2C and REINFORCE against their gradients, worked out by hand."""

import chex
import jax
import numpy as np
import pytest

from fdl.distributions import categorical
from fdl.objectives import actor_critic, policy_gradient, ppo
from fdl.types import Model

RNG = np.random.default_rng(0)
X = RNG.normal(size=(32, 4)).astype(np.float32)
ACTION = RNG.integers(3, size=32).astype(np.int32)
ADVANTAGE, RETURN = RNG.normal(1.0, 2.0, size=(2, 32)).astype(np.float32)
MASK = RNG.random(32) < 0.7
PARAMS = {
    "policy": RNG.normal(size=(4, 3)).astype(np.float32),
    "value": RNG.normal(size=4).astype(np.float32),
}
BATCH = {"observation": X, "action": ACTION, "return": RETURN}


def apply(variables, observation, key=None, train=False):
    params = variables["params"]
    return (observation @ params["policy"], observation @ params["value"]), {}


MODEL = Model(lambda key: {"params": PARAMS}, apply)


def value_and_grad(objective, batch):
    def loss_fn(params):
        return objective({"params": params}, batch, train=True)

    (loss, (_, metrics)), grads = jax.jit(jax.value_and_grad(loss_fn, has_aux=True))(
        PARAMS
    )
    values = {name: metric.compute() for name, metric in metrics.items()}
    chex.assert_trees_all_close(loss, values["loss"])
    return values, grads


def by_hand(advantage, weight, value_cost, entropy_cost):
    """Losses and their gradients, of the softmax and of a linear value."""
    logits, x = (X @ PARAMS["policy"]).astype(float), X.astype(float)
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    log_p, one_hot = np.log(p), np.eye(3)[ACTION]
    entropy = -(p * log_p).sum(-1)
    error = x @ PARAMS["value"] - RETURN
    weight = weight / weight.sum()
    losses = {
        "policy_loss": weight @ (-(log_p * one_hot).sum(-1) * advantage),
        "value_loss": weight @ (0.5 * error**2),
        "entropy": weight @ entropy,
    }
    losses["loss"] = (
        losses["policy_loss"]
        + value_cost * losses["value_loss"]
        - entropy_cost * losses["entropy"]
    )
    of_entropy = -p * (log_p + entropy[:, None])
    of_logits = (p - one_hot) * advantage[:, None] - entropy_cost * of_entropy
    grads = {
        "policy": x.T @ (weight[:, None] * of_logits),
        "value": value_cost * x.T @ (weight * error),
    }
    return losses, grads


def standardized(x, mask):
    return (x - x[mask].mean()) / np.sqrt(x[mask].var() + 1e-5)


@pytest.mark.parametrize("normalize", [False, True])
def test_a2c_is_the_policy_gradient_by_advantages(normalize):
    objective = actor_critic(
        MODEL,
        categorical(),
        value_cost=0.7,
        entropy_cost=0.2,
        normalize_advantages=normalize,
    )
    found = value_and_grad(objective, {**BATCH, "advantage": ADVANTAGE})
    advantage = standardized(ADVANTAGE, MASK | True) if normalize else ADVANTAGE
    expected = by_hand(advantage, np.ones(32), 0.7, 0.2)
    chex.assert_trees_all_close(found, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("normalize", [False, True])
def test_reinforce_weighs_actions_by_returns_above_the_baseline(normalize):
    """Nothing of it flows into the baseline, and padding changes nothing."""
    objective = policy_gradient(
        MODEL,
        categorical(),
        value_cost=0.3,
        entropy_cost=0.1,
        normalize_advantages=normalize,
    )
    batch = {**BATCH, "mask": MASK, "return": np.where(MASK, RETURN, 1e6)}
    found = value_and_grad(objective, batch)
    advantage = RETURN - X @ PARAMS["value"]
    advantage = standardized(advantage, MASK) if normalize else advantage
    expected = by_hand(advantage, MASK.astype(float), 0.3, 0.1)
    chex.assert_trees_all_close(found, expected, rtol=1e-3, atol=1e-5)


def test_ppo_takes_the_step_of_a2c_at_its_first_update():
    """Where the policy is still the one that has acted, no ratio is clipped."""
    log_prob = categorical().log_prob(X @ PARAMS["policy"], ACTION)
    batch = {**BATCH, "advantage": ADVANTAGE, "log_prob": log_prob}
    options = {"entropy_cost": 0.2, "normalize_advantages": False}
    _, grads = value_and_grad(ppo(MODEL, categorical(), **options), batch)
    options.pop("normalize_advantages")
    _, expected = value_and_grad(actor_critic(MODEL, categorical(), **options), batch)
    chex.assert_trees_all_close(grads, expected, rtol=1e-4, atol=1e-6)
