"""Off-policy learning against a reference in NumPy, and what it refuses."""

import functools
import re

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fdl
from fdl import learners, objectives
from fdl.envs import box, discrete
from fdl.errors import UserError
from fdl.rl import (
    count_bonus,
    count_updates,
    epsilon_greedy,
    off_policy,
    prioritized_replay,
    uniform_replay,
)
from fdl.types import Env, Model, Timestep

SIZES = {
    "num_envs": 2,
    "num_steps": 3,
    "num_updates": 2,
    "batch_size": 4,
    "learning_starts": 12,
}
NETWORK = Model(
    lambda key: {"params": jax.random.normal(key, (4, 2))},
    lambda variables, x, key=None, train=False: (x @ variables["params"], {}),
)
MODEL = fdl.models.combine(online=NETWORK, target=NETWORK)


def corridor():
    """Action 1 goes on to the end, which pays one; action 0 goes back."""

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


def q_learner(**options):
    return learners.target_network_learner(
        MODEL,
        {"online": objectives.q_learning(MODEL)},
        optax.sgd(0.5),
        **{
            "policy": "online",
            "targets": {"target": "online"},
            "rate": 1.0,
            "periods": {"target": 2},
            **options,
        },
    )


def learner(env=None, replay=None, explore=None, bonus=None, **sizes):
    return off_policy(
        env or corridor(),
        explore or (lambda num_steps: epsilon_greedy(NETWORK, 0.0)),
        q_learner(),
        replay or uniform_replay(20, discount=0.9, num_steps=2),
        bonus=bonus,
        **{**SIZES, **sizes},
    )


@functools.cache
def late():
    """A learner that learns from its second rollout on; compiled once for all tests."""
    made = learner(num_steps=6, learning_starts=24, save_replay=False)
    return made._replace(init=jax.jit(made.init), step=jax.jit(made.step))


def test_it_acts_at_random_until_learning_starts_and_greedily_then():
    init, step, *_ = late()
    state = init(jax.random.key(0))
    first, metrics = step(state, None)
    assert metrics["online/loss"].weight == 0
    chex.assert_trees_all_equal(first.train.params, state.train.params)
    assert len(np.unique(first.replay.data.action[:6])) == 2
    second, metrics = step(first, None)
    assert metrics["online/loss"].weight == 2 * SIZES["batch_size"]
    assert not np.allclose(second.train.params["online"], first.train.params["online"])
    third, _ = step(second, None)
    data, second = jax.device_get((third.replay.data, second))
    rows = np.arange(12, 18) % 10
    values = data.observation[rows] @ second.train.params["online"]
    np.testing.assert_array_equal(data.action[rows], values.argmax(axis=-1))
    assert (third.step, third.train.step) == (3, 4)
    # Row after row, an environment goes on from where it was.
    before, after = rows[:-1], rows[1:]
    goes_on = ~np.asarray(data.ended[before])
    np.testing.assert_array_equal(
        data.next_observation[before][goes_on], data.observation[after][goes_on]
    )


def test_a_memory_that_is_not_saved_is_filled_anew_by_the_policy():
    init, step, *_ = late()
    assert learner().persist is None
    state, _ = step(step(init(jax.random.key(0)), None)[0], None)
    saved = late().persist(state)
    assert saved.replay is None and saved.train is state.train
    revived = late().revive(saved, jax.random.key(0))
    chex.assert_trees_all_equal_shapes_and_dtypes(revived, state)
    first, metrics = step(revived, None)
    assert (metrics["online/loss"].weight, first.replay.num_added) == (0, 6)
    chex.assert_trees_all_equal(first.train, state.train)
    data = jax.device_get(first.replay.data)
    values = data.observation[:6] @ state.train.params["online"]
    np.testing.assert_array_equal(data.action[:6], values.argmax(axis=-1))
    second, metrics = step(first, None)
    assert metrics["online/loss"].weight == 2 * SIZES["batch_size"]
    assert second.train.step == state.train.step + 2


def test_an_update_is_that_of_the_batch_that_is_drawn():
    replay = uniform_replay(20, discount=0.9, num_steps=2)
    drawn = replay._replace(
        sample=lambda ring, size, key: {
            **uniform_replay(20, discount=0.9, num_steps=2).sample(ring, size, key),
            "action": jnp.zeros(size, jnp.int32),
            "observation": jnp.eye(4),
            "next_observation": jnp.eye(4)[::-1],
            "reward": jnp.arange(4.0),
            "discount": jnp.array([0.9, 0.0, 0.81, 0.9]),
        }
    )
    bonus = count_bonus(lambda x: x.argmax(axis=-1), 4, scale=3.0)
    init, step, *_ = learner(replay=drawn, learning_starts=1, bonus=bonus)
    state = jax.jit(init)(jax.random.key(1))
    after, metrics = jax.jit(step)(state, None)
    # What was reached in the rollout counts, and what is drawn is paid for by it.
    assert after.bonus.sum() == 6 and after.bonus[1] > 0
    bonuses = 3 / np.sqrt(np.maximum(after.bonus, 1))[::-1]
    np.testing.assert_allclose(metrics["bonus"].compute(), bonuses.mean(), rtol=1e-6)
    online = target = np.asarray(state.train.params["online"], np.float64)
    for _ in range(2):
        best = online[::-1].argmax(axis=1)
        goal = (
            np.arange(4)
            + bonuses
            + [0.9, 0, 0.81, 0.9] * target[::-1][np.arange(4), best]
        )
        slope = np.clip(online[:, 0] - goal, -1, 1) / 4  # Of the Huber loss.
        online = online - 0.5 * np.stack([slope, 0 * slope], axis=1)
    np.testing.assert_allclose(after.train.params["online"], online, rtol=1e-5)
    # Copied in the second update.
    np.testing.assert_allclose(after.train.params["target"], online, rtol=1e-5)


@pytest.mark.slow
def test_priorities_are_the_td_errors_before_an_update():
    init, step, *_ = learner(
        replay=prioritized_replay(20, discount=0.9, alpha=1.0),
        priority=objectives.td_errors(MODEL),
        num_updates=1,
    )
    step = jax.jit(step)
    state, _ = step(jax.jit(init)(jax.random.key(0)), None)
    assert (state.replay.tree[-1][:6] == 1).all()  # Nothing was learned yet.
    state, _ = step(state, None)
    weights = state.replay.tree[-1][:12]
    assert 1 <= (weights != 1).sum() <= SIZES["batch_size"]


@pytest.mark.slow
def test_it_learns_to_walk_a_corridor():
    init, step, *_ = learner(
        explore=lambda num_steps: epsilon_greedy(NETWORK, 0.3),
        num_updates=8,
        batch_size=16,
        replay=uniform_replay(200, discount=0.9),
    )
    state = jax.jit(init)(jax.random.key(0))
    state, _ = jax.jit(learners.repeat(step))(state, None, 300)
    values = state.train.params["online"]
    # A step from the end is worth 1, one before that 0.9, and so on.
    np.testing.assert_allclose(values[:3, 1], [0.81, 0.9, 1.0], atol=0.1)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"num_updates": 0}, "num_updates=0: expected at least 1"),
        ({"learning_starts": -5}, "learning_starts=-5: expected at least 0"),
        (
            {"priority": lambda variables, batch: batch["reward"]},
            "priority: expected a memory that samples by priorities, such as "
            "prioritized_replay",
        ),
        (
            {"batch_size": 21},
            "batch_size=21: expected at most the capacity of the replay memory, 20",
        ),
        (
            {"env": corridor()._replace(action=box((1,), -1.0, 1.0))},
            "action int32 [N]: expected float32 [N, 1], as env.action is",
        ),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(changes, message):
    with pytest.raises(UserError) as raised:
        made = learner(**changes)
        jax.eval_shape(lambda key: made.step(made.init(key), None), jax.random.key(0))
    assert str(raised.value) == message


@pytest.mark.parametrize(
    "options, message",
    [
        (
            {"periods": {"targt": 2}},
            "periods: there is no network 'targt'. Did you mean 'target'?",
        ),
        ({"targets": {"target": "onlin"}}, "there is no network 'onlin'. Did you mean"),
        ({"rate": 0.0}, "rate=0.0: expected above 0 and at most 1"),
    ],
)
def test_target_networks_that_do_not_fit_are_said_in_one_line(options, message):
    with pytest.raises(UserError, match=re.escape(message)):
        jax.eval_shape(q_learner(**options).init, jax.random.key(0))


def test_updates_of_a_run_are_counted():
    sizes = {name: SIZES[name] for name in ("num_envs", "num_steps", "num_updates")}
    for starts, expected in ((0, 8), (6, 8), (7, 6), (24, 2)):
        assert count_updates(4, **sizes, learning_starts=starts) == expected
    with pytest.raises(UserError, match="num_steps=0: expected at least 1"):
        count_updates(4, **sizes | {"num_steps": 0}, learning_starts=0)
    with pytest.raises(UserError) as raised:
        count_updates(4, **sizes, learning_starts=25)
    assert str(raised.value) == (
        "learning_starts=25: expected at most the 24 environment steps of the run"
    )
