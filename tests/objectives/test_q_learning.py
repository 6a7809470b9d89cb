import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import losses, models
from fdl.errors import UserError
from fdl.objectives import q_learning, q_regression, td_errors
from fdl.types import Model

TABLE = Model(
    lambda key: {"params": jax.random.normal(key, (3, 4))},
    lambda variables, x, key=None, train=False: (variables["params"][x], {}),
)
MODEL = models.combine(online=TABLE, target=TABLE)
RANDOM = np.random.default_rng(0)
VARIABLES = {
    "params": {
        name: jnp.float32(3 * RANDOM.normal(size=(3, 4)))
        for name in ("online", "target")
    }
}
BATCH = {
    "observation": np.array([0, 1, 2, 0, 1]),
    "action": np.array([3, 0, 1, 3, 2], np.int32),
    "reward": RANDOM.normal(size=5).astype(np.float32),
    "next_observation": np.array([1, 2, 0, 2, 1]),
    "discount": np.float32([0.9, 0.0, 0.81, 0.9, 0.9]),
    "weight": np.float32([1.0, 0.5, 0.2, 1.0, 0.7]),
}


def expected_errors(double):
    online, target = (
        np.asarray(VARIABLES["params"][name], np.float64)
        for name in ("online", "target")
    )
    errors = []
    for i in range(5):
        after = BATCH["next_observation"][i]
        best = (online if double else target)[after].argmax()
        goal = BATCH["reward"][i] + BATCH["discount"][i] * target[after, best]
        errors.append(online[BATCH["observation"][i], BATCH["action"][i]] - goal)
    return np.array(errors)


@pytest.mark.parametrize("double", [False, True])
def test_the_gradient_is_that_of_weighted_errors_to_fixed_targets(double):
    objective = q_learning(MODEL, double=double, loss=losses.squared_error)
    grads, (_, metrics) = jax.jit(jax.grad(objective, has_aux=True))(VARIABLES, BATCH)
    errors = expected_errors(double)
    expected = np.zeros((3, 4))
    for i, error in enumerate(errors):
        place = BATCH["observation"][i], BATCH["action"][i]
        expected[place] += 2 * BATCH["weight"][i] * error / 5
    np.testing.assert_allclose(grads["params"]["online"], expected, rtol=1e-5)
    assert not grads["params"]["target"].any()
    loss = np.mean(BATCH["weight"] * errors**2)
    np.testing.assert_allclose(metrics["loss"].compute(), loss, rtol=1e-5)
    mean = metrics["td_error"].compute()
    np.testing.assert_allclose(mean, np.abs(errors).mean(), rtol=1e-5)
    priorities = jax.jit(td_errors(MODEL, double=double))(VARIABLES, BATCH)
    np.testing.assert_allclose(priorities, np.abs(errors), rtol=1e-5)


def test_continuous_actions_are_an_error():
    batch = {**BATCH, "action": np.zeros(5, np.float32)}
    with pytest.raises(UserError, match="action of dtype float32: expected discrete"):
        q_learning(MODEL)(VARIABLES, batch)


QUANTILES = Model(
    lambda key: {"params": jax.random.normal(key, (3, 4, 5))}, TABLE.apply
)
OF_QUANTILES = {
    "params": {
        name: jnp.float32(3 * RANDOM.normal(size=(3, 4, 5)))
        for name in ("online", "target")
    }
}


@pytest.mark.parametrize("double", [False, True])
def test_quantiles_regress_on_those_of_the_action_of_the_highest_mean(double):
    model = models.combine(online=QUANTILES, target=QUANTILES)
    objective = q_learning(model, double=double, loss=losses.quantile_huber)
    grads, (_, metrics) = jax.jit(jax.grad(objective, has_aux=True))(
        OF_QUANTILES, BATCH
    )
    online, target = (
        np.asarray(OF_QUANTILES["params"][name], np.float64)
        for name in ("online", "target")
    )
    expected, loss, errors = np.zeros((3, 4, 5)), 0.0, []
    for i in range(5):
        after = BATCH["next_observation"][i]
        best = (online if double else target)[after].mean(axis=-1).argmax()
        goals = BATCH["reward"][i] + BATCH["discount"][i] * target[after, best]
        place = BATCH["observation"][i], BATCH["action"][i]
        errors.append(abs(goals.mean() - online[place].mean()))
        for q, goal in np.ndindex(5, 5):
            error = goals[goal] - online[place][q]
            level = abs((q + 0.5) / 5 - (error < 0))
            huber = error**2 / 2 if abs(error) < 1 else abs(error) - 0.5
            share = BATCH["weight"][i] * level / 5 / 5  # Of goals, and of the batch.
            loss += share * huber
            expected[place][q] -= share * np.clip(error, -1, 1)
    np.testing.assert_allclose(metrics["loss"].compute(), loss, rtol=1e-5)
    np.testing.assert_allclose(grads["params"]["online"], expected, atol=1e-6)
    assert not grads["params"]["target"].any()
    priorities = jax.jit(td_errors(model, double=double))(OF_QUANTILES, BATCH)
    np.testing.assert_allclose(priorities, errors, rtol=1e-4)
    np.testing.assert_allclose(
        metrics["td_error"].compute(), np.mean(errors), rtol=1e-5
    )


def test_a_loss_that_is_not_of_the_network_is_an_error():
    model = models.combine(online=QUANTILES, target=QUANTILES)
    message = r"loss of values \[5, 5\] is \[5, 5\]: expected \[5\]; that of quantiles"
    with pytest.raises(UserError, match=message):
        jax.eval_shape(q_learning(model), OF_QUANTILES, BATCH)
    objective = q_learning(MODEL, loss=losses.quantile_huber)
    with pytest.raises(
        UserError, match=r"loss of values \[5\] is \[\]: expected \[5\]"
    ):
        jax.eval_shape(objective, VARIABLES, BATCH)


def test_q_regression_is_half_the_squared_error_of_the_actions_taken():
    variables = {"params": VARIABLES["params"]["online"]}
    batch = {"return": BATCH["reward"], **BATCH}
    grads, (_, metrics) = jax.jit(jax.grad(q_regression(TABLE), has_aux=True))(
        variables, batch
    )
    expected, total = np.zeros((3, 4)), 0.0
    for i in range(5):
        place = BATCH["observation"][i], BATCH["action"][i]
        error = float(variables["params"][place]) - BATCH["reward"][i]
        expected[place] += error / 5
        total += error**2 / 2
    np.testing.assert_allclose(grads["params"], expected, rtol=1e-5)
    np.testing.assert_allclose(metrics["loss"].compute(), total / 5, rtol=1e-5)
    assert metrics["loss"].weight == 5
