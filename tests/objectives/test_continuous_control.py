"""Objectives of DDPG, TD3 and SAC by hand, on linear networks."""

import jax
import jax.numpy as jnp
import numpy as np

from fdl import models, objectives
from fdl.distributions import categorical, squashed_normal
from fdl.types import Model

RANDOM = np.random.default_rng(0)
KEY = jax.random.key(0)


def linear(function):
    return Model(
        lambda key: {"params": 0.0},
        lambda variables, *x, key=None, train=False: (
            function(variables["params"], *x),
            {},
        ),
    )


ACTOR = linear(lambda w, x: jnp.tanh(x @ w))
GAUSSIAN = linear(lambda w, x: (x @ w, x @ w - 1))
CRITIC = linear(lambda w, x, a: jnp.concatenate([x, a], axis=1) @ w)
WEIGHTS = {
    name: np.float32(RANDOM.normal(size=shape))
    for name, shape in {
        "actor": (2, 1),
        "critic": (3, 2),
        "target_actor": (2, 1),
        "target_critic": (3, 2),
    }.items()
}
VARIABLES = {"params": {**WEIGHTS, "temperature": {"value": jnp.float32(-0.5)}}}
BATCH = {
    "observation": np.float32(RANDOM.normal(size=(4, 2))),
    "action": np.float32(RANDOM.uniform(-1, 1, size=(4, 1))),
    "reward": np.float32(RANDOM.normal(size=4)),
    "next_observation": np.float32(RANDOM.normal(size=(4, 2))),
    "discount": np.float32([0.9, 0.0, 0.9, 0.81]),
    "weight": np.float32([1.0, 0.5, 1.0, 0.2]),
}
DETERMINISTIC = models.combine(
    actor=ACTOR, critic=CRITIC, target_actor=ACTOR, target_critic=CRITIC
)
SOFT = models.combine(
    actor=GAUSSIAN,
    critic=CRITIC,
    target_critic=CRITIC,
    temperature=models.scalar(),
)


def grads_of(objective):
    """Gradients of all networks, and the metrics."""
    grad = jax.jit(jax.grad(objective, has_aux=True))
    grads, (_, metrics) = grad(VARIABLES, BATCH, KEY)
    return grads["params"], {name: float(m.compute()) for name, m in metrics.items()}


def values(name, x, a):
    return np.concatenate([x, a], axis=1) @ WEIGHTS[name]


def expected_critic(targets):
    """Loss and gradient of the critics against targets."""
    inputs = np.concatenate([BATCH["observation"], BATCH["action"]], axis=1)
    errors = inputs @ WEIGHTS["critic"] - targets[:, None]
    weighted = BATCH["weight"][:, None] * errors
    return (weighted * errors).sum() / 8, inputs.T @ weighted / 4


def test_deterministic_critics_regress_on_the_lower_of_the_target_critics():
    grads, metrics = grads_of(objectives.deterministic_critic(DETERMINISTIC))
    x = BATCH["next_observation"]
    after = values("target_critic", x, np.tanh(x @ WEIGHTS["target_actor"]))
    targets = BATCH["reward"] + BATCH["discount"] * after.min(axis=1)
    loss, slope = expected_critic(targets)
    np.testing.assert_allclose(metrics["loss"], loss, rtol=1e-5)
    np.testing.assert_allclose(grads["critic"], slope, rtol=1e-4, atol=1e-6)
    assert not any(grads[name].any() for name in ("target_actor", "target_critic"))


def test_target_policy_smoothing_clips_its_noise():
    # The noise is beyond its bound, 0.1, but for a few.
    objective = objectives.deterministic_critic(
        DETERMINISTIC, noise=1e6, noise_clip=0.1
    )
    _, metrics = grads_of(objective)
    x = BATCH["next_observation"]
    action = np.tanh(x @ WEIGHTS["target_actor"])
    losses = []
    for signs in np.ndindex(2, 2, 2, 2):
        shift = 0.2 * np.array(signs)[:, None] - 0.1
        after = values("target_critic", x, np.clip(action + shift, -1, 1))
        targets = BATCH["reward"] + BATCH["discount"] * after.min(axis=1)
        losses.append(expected_critic(targets)[0])
    np.testing.assert_allclose(
        np.abs(np.array(losses) / metrics["loss"] - 1).min(), 0, atol=1e-5
    )


def test_a_deterministic_actor_climbs_the_first_critic():
    grads, _ = grads_of(objectives.deterministic_actor(DETERMINISTIC))
    x = BATCH["observation"]
    slope = 1 - np.tanh(x @ WEIGHTS["actor"]) ** 2  # Of tanh.
    expected = -(x * slope * WEIGHTS["critic"][2, 0]).mean(axis=0)
    np.testing.assert_allclose(grads["actor"][:, 0], expected, rtol=1e-4)


def test_soft_objectives_are_those_of_the_sampled_actions():
    actions, temperature = squashed_normal(), np.exp(-0.5)

    def drawn(x):
        mean = jnp.float32(x @ WEIGHTS["actor"])
        pair = actions.sample_and_log_prob((mean, mean - 1), KEY)
        return tuple(map(np.asarray, pair))

    grads, metrics = grads_of(objectives.soft_critic(SOFT, actions))
    x = BATCH["next_observation"]
    action, log_prob = drawn(x)
    soft = values("target_critic", x, action).min(axis=1) - temperature * log_prob
    loss, slope = expected_critic(BATCH["reward"] + BATCH["discount"] * soft)
    np.testing.assert_allclose(metrics["loss"], loss, rtol=1e-4)
    np.testing.assert_allclose(grads["critic"], slope, rtol=1e-3, atol=1e-5)

    x = BATCH["observation"]
    action, log_prob = drawn(x)
    _, metrics = grads_of(objectives.soft_actor(SOFT, actions))
    lower = values("critic", x, action).min(axis=1)
    np.testing.assert_allclose(
        metrics["loss"], (temperature * log_prob - lower).mean(), rtol=1e-4
    )
    np.testing.assert_allclose(metrics["entropy"], -log_prob.mean(), rtol=1e-4)

    objective = objectives.soft_temperature(SOFT, actions, target_entropy=-1.0)
    grads, metrics = grads_of(objective)
    # Above the target, the temperature falls.
    np.testing.assert_allclose(
        grads["temperature"]["value"], (1 - log_prob).mean(), rtol=1e-4
    )
    np.testing.assert_allclose(metrics["temperature"], temperature, rtol=1e-6)


def test_of_discrete_actions_values_and_entropies_are_expectations():
    shapes = {"actor": (2, 3), "critic": (2, 6), "target_critic": (2, 6)}
    weights = {k: np.float32(RANDOM.normal(size=v)) for k, v in shapes.items()}
    critic = linear(lambda w, x: (x @ w).reshape(-1, 3, 2))
    model = models.combine(
        actor=linear(lambda w, x: x @ w),
        critic=critic,
        target_critic=critic,
        temperature=models.scalar(),
    )
    variables = {"params": {**weights, "temperature": {"value": jnp.float32(-0.5)}}}
    batch = {**BATCH, "action": np.array([2, 0, 1, 1], np.int32)}
    temperature = np.exp(-0.5)

    def policy(x):
        logits = np.float64(x @ weights["actor"])
        probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        return probs, -(probs * np.log(probs)).sum(axis=1)

    def of_all(name, x):
        return (x @ weights[name]).reshape(-1, 3, 2)

    def grads_and_loss(objective):
        grad = jax.jit(jax.grad(objective, has_aux=True))
        grads, (_, metrics) = grad(variables, batch, None)
        return grads["params"], metrics["loss"].compute()

    actions = categorical()
    _, loss = grads_and_loss(objectives.soft_critic(model, actions, discrete=True))
    x = batch["next_observation"]
    probs, entropy = policy(x)
    soft = (probs * of_all("target_critic", x).min(axis=-1)).sum(axis=1)
    targets = batch["reward"] + batch["discount"] * (soft + temperature * entropy)
    chosen = of_all("critic", batch["observation"])[np.arange(4), batch["action"]]
    squared = np.square(chosen - targets[:, None]).sum(axis=1)
    np.testing.assert_allclose(loss, (batch["weight"] * squared).mean() / 2, rtol=1e-4)

    grads, loss = grads_and_loss(objectives.soft_actor(model, actions, discrete=True))
    x = batch["observation"]
    probs, entropy = policy(x)
    judged = of_all("critic", x).min(axis=-1)
    each = (probs * (temperature * np.log(probs) - judged)).sum(axis=1)
    np.testing.assert_allclose(loss, each.mean(), rtol=1e-4)
    # The gradient of an expectation by its logits: p times the deviation.
    slope = probs * (temperature * np.log(probs) - judged - each[:, None])
    np.testing.assert_allclose(grads["actor"], x.T @ slope / 4, rtol=1e-3, atol=1e-6)

    objective = objectives.soft_temperature(
        model, actions, target_entropy=0.5, discrete=True
    )
    grads, _ = grads_and_loss(objective)
    np.testing.assert_allclose(
        grads["temperature"]["value"], (entropy - 0.5).mean(), rtol=1e-4
    )
