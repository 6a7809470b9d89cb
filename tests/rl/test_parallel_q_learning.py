"""Parallelised Q-learning against its definition in NumPy, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fdl.envs import box, discrete
from fdl.errors import UserError
from fdl.objectives import q_regression
from fdl.rl import Transition, epsilon_greedy, parallel_q_learning, q_lambda
from fdl.types import Env, Model, Timestep

TABLE = Model(
    lambda key: {"params": jax.random.normal(key, (4, 2))},
    lambda variables, x, key=None, train=False: (x @ variables["params"], {}),
)
SIZES = {
    "num_envs": 4,
    "num_steps": 6,
    "num_epochs": 1,
    "num_minibatches": 1,
    "discount": 0.9,
    "lambda_": 0.7,
}
VALUES = np.array([[0.3, 0.0], [0.0, 0.1], [0.0, 0.2], [9.0, 8.0]])


def corridor():
    """Action 1 goes on to the end, which pays one; action 0 goes back; five steps."""

    def observe(state):
        return jax.nn.one_hot(state[0], 4)

    def reset(key):
        del key
        state = jnp.zeros(2, jnp.int32)
        return state, observe(state)

    def step(state, action, key):
        del key
        place = jnp.maximum(state[0] + 2 * action - 1, 0)
        state = jnp.stack([place, state[1] + 1])
        terminated = place >= 3
        truncated = (state[1] >= 5) & ~terminated
        reward = terminated.astype(jnp.float32)
        return state, Timestep(observe(state), reward, terminated, truncated)

    return Env(reset, step, box((4,), 0, 1), discrete(2))


def learner(**changes):
    return parallel_q_learning(
        corridor(),
        TABLE,
        lambda num_steps: epsilon_greedy(TABLE, jnp.where(num_steps < 24, 0.0, 1.0)),
        q_regression(TABLE),
        optax.sgd(0.5),
        **{**SIZES, **changes},
    )


def returns_of(seen, lambda_):
    """The definition: means of n-step returns, each of the best action at its end."""
    place, _, after, end, cut = seen
    expected = np.zeros(place.shape)
    for n, t in np.ndindex(place.shape):
        steps, last = [], t  # Returns of one step, of two, and so on.
        total, weight = 0.0, 1.0
        for u in range(t, place.shape[1]):
            total += weight * end[n, u]  # The reward.
            weight *= 0.9
            rest = 0.0 if end[n, u] else VALUES[after[n, u]].max()
            steps.append(total + weight * rest)
            last = u
            if end[n, u] or cut[n, u]:
                break
        for i, value in enumerate(steps):
            share = 1 if t + i == last else 1 - lambda_
            expected[n, t] += share * lambda_**i * value
    return expected


def test_a_step_acts_by_the_greedy_policy_and_descends_towards_q_lambda():
    init, step, *_ = learner()
    state = jax.jit(init)(jax.random.key(0))
    places = np.array([0, 1, 2, 1])
    state = state._replace(
        train=state.train._replace(params=jnp.float32(VALUES)),
        env=state.env.at[:, 0].set(places),
        observation=jnp.eye(4)[places],
    )
    step = jax.jit(step)
    after, metrics = step(state, None)
    seen = np.zeros((5, 4, 6), int)
    for n, at in enumerate(places):
        clock = 0
        for t in range(6):
            action = int(VALUES[at].argmax())
            to, clock = max(at + 2 * action - 1, 0), clock + 1
            over, late = to == 3, clock == 5 and to < 3
            seen[:, n, t] = at, action, to, over, late
            at, clock = (0, 0) if over or late else (to, clock)
    place, action, _, end, cut = seen
    assert end.any() and cut.any()
    error = VALUES[place, action] - returns_of(seen, 0.7)
    expected = VALUES.copy()
    np.add.at(expected, (place.ravel(), action.ravel()), -0.5 * error.ravel() / 24)
    np.testing.assert_allclose(after.train.params, expected, atol=1e-6)
    np.testing.assert_allclose(
        metrics["loss"].compute(), np.square(error).mean() / 2, rtol=1e-5
    )
    assert metrics["episode_return"].weight == (end | cut).sum()
    # From then on, at random: the count of steps is that of the environments.
    assert (after.step, after.train.step) == (1, 1)
    later, _ = step(after, None)
    assert not np.allclose(later.train.params[:, 1], after.train.params[:, 1])


@jax.jit
def estimate(transitions, lambda_):
    variables = {"params": jnp.float32(VALUES)}
    return q_lambda(TABLE, variables, transitions, discount=0.9, lambda_=lambda_)


@pytest.mark.parametrize("lambda_", [0.0, 0.5, 1.0])
def test_q_lambda_matches_its_definition(lambda_):
    random = np.random.default_rng(0)
    place, after = random.integers(4, size=(2, 12, 3))
    kind = random.integers(4, size=(12, 3))
    end, cut = kind == 0, kind == 1
    transitions = Transition(
        jnp.eye(4)[place], jnp.zeros_like(place), jnp.eye(4)[after],
        jnp.float32(end), jnp.array(end), jnp.array(cut),
    )  # fmt: skip
    returns = estimate(transitions, lambda_)
    expected = returns_of([x.T for x in (place, place, after, end, cut)], lambda_)
    np.testing.assert_allclose(returns.T, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"num_epochs": 0}, "num_epochs=0: expected at least 1"),
        (
            {"num_minibatches": 7},
            "num_minibatches=7: expected a divisor of num_envs * num_steps = 24",
        ),
    ],
)
def test_sizes_that_do_not_fit_are_said_in_one_line(changes, message):
    with pytest.raises(UserError) as raised:
        learner(**changes)
    assert str(raised.value) == message
