import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import losses, models
from fdl.errors import UserError
from fdl.objectives import q_learning, td_errors
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
