"""Replay memories against definitions in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.errors import UserError
from fdl.rl import Transition, prioritized_replay, uniform_replay
from fdl.rl.replay.sum_tree import find, init_sum_tree, set_weights, total
from fdl.rl.replay.uniform import n_step

KEY = jax.random.key(0)
DISCOUNT = 0.9


def history(num_rows, num_envs=2, seed=0):
    """Transitions, [T, N, ...], whose observations tell their row and column."""
    random = np.random.default_rng(seed)
    row, env = np.meshgrid(np.arange(num_rows), np.arange(num_envs), indexing="ij")
    now = np.stack([row, env], axis=-1).astype(np.float32)
    end = random.choice(3, size=(num_rows, num_envs), p=[0.6, 0.2, 0.2])
    return Transition(
        observation=now,
        action=random.integers(3, size=(num_rows, num_envs)).astype(np.int32),
        # That before the reset, which is in no other row.
        next_observation=now + 1000,
        reward=random.normal(size=(num_rows, num_envs)).astype(np.float32),
        terminated=end == 1,
        truncated=end == 2,
    )


def rows(transitions, start, stop):
    return jax.tree.map(lambda x: jnp.asarray(x[start:stop]), transitions)


def filled(replay, past, num_added, num_steps):
    """State after a history was added in rollouts of a number of steps."""
    first = jax.tree.map(lambda x: x[0], past)
    state, add = jax.jit(replay.init)(first), jax.jit(replay.add)
    for start in range(0, num_added, num_steps):
        state = add(state, rows(past, start, start + num_steps))
    return state


def defined(past, newest, row, env, num_steps):
    """n-step return of a transition, by its definition."""
    total = 0.0
    for k in range(num_steps):
        now = row + k
        total += DISCOUNT**k * past.reward[now, env]
        ended = past.terminated[now, env] or past.truncated[now, env]
        if ended or now == newest:
            break
    value = 0.0 if past.terminated[now, env] else DISCOUNT ** (k + 1)
    return total, past.next_observation[now, env], value


@pytest.mark.parametrize("num_added", [3, 6, 15, 21])
@pytest.mark.parametrize("num_steps", [1, 4])
def test_n_step_returns_stop_at_ends_and_go_on_over_the_seam(num_added, num_steps):
    past = history(21)
    replay = uniform_replay(12, discount=DISCOUNT, num_steps=num_steps)
    ring = filled(replay, past, num_added, 3)
    found = jax.jit(
        lambda ring, index: n_step(ring, index, discount=DISCOUNT, num_steps=num_steps)
    )(ring, jnp.arange(12))
    known = range(max(num_added - 6, 0), num_added)
    assert {*map(tuple, found["observation"][: 2 * len(known)].tolist())} == {
        (row, env) for row in known for env in range(2)
    }
    for i in range(2 * len(known)):
        row, env = found["observation"][i].astype(int)
        reward, after, value = defined(past, num_added - 1, row, env, num_steps)
        np.testing.assert_allclose(found["reward"][i], reward, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(found["next_observation"][i], after)
        np.testing.assert_allclose(found["discount"][i], value, rtol=1e-6)
        assert found["action"][i] == past.action[row, env]


def test_uniform_samples_are_of_all_that_is_known_and_of_nothing_else():
    past = history(15)
    replay = uniform_replay(20, discount=DISCOUNT)
    sample = jax.jit(replay.sample, static_argnums=1)
    for num_added in (3, 15):
        batch = sample(filled(replay, past, num_added, 3), 6000, KEY)
        places, counts = np.unique(batch["observation"], axis=0, return_counts=True)
        known = np.arange(max(num_added - 10, 0), num_added)
        np.testing.assert_array_equal(np.unique(places[:, 0]), known)
        mean = 6000 / (2 * len(known))
        assert len(counts) == 2 * len(known)
        assert np.abs(counts - mean).max() < 5 * np.sqrt(mean)
        assert (batch["weight"] == 1).all()


def test_prioritized_samples_and_weights_are_as_defined():
    past, alpha, beta = history(9), 0.6, 0.4
    replay = prioritized_replay(
        12, discount=DISCOUNT, num_steps=2, alpha=alpha, beta=beta
    )
    state = filled(replay, past, 6, 3)
    update = jax.jit(replay.update)
    priorities = np.random.default_rng(1).exponential(size=12) + 0.1
    highest = priorities.max()
    state = update(state, jnp.arange(12), jnp.float32(priorities))
    state = update(state, jnp.array([-1, 3]), jnp.array([99.0, 2.0]))  # One of none.
    priorities[3] = 2.0
    add = jax.jit(replay.add)
    state = add(state, rows(past, 6, 9))  # In place of rows 0 to 2.
    priorities[:6] = highest  # So far; 99 was of none.

    probabilities = priorities**alpha / (priorities**alpha).sum()
    batch = jax.jit(replay.sample, static_argnums=1)(state, 20_000, KEY)
    shares = np.bincount(batch["index"], minlength=12) / 20_000
    # Stratified: at most one sample more or less at both ends of a part.
    np.testing.assert_allclose(shares, probabilities, atol=2.5 / 20_000)
    weights = (12 * probabilities) ** -beta
    np.testing.assert_allclose(
        batch["weight"], (weights / weights.max())[batch["index"]], rtol=1e-4
    )
    expected = jax.jit(
        lambda ring, index: n_step(ring, index, discount=DISCOUNT, num_steps=2)
    )(state.ring, batch["index"])
    for name, values in expected.items():
        np.testing.assert_array_equal(batch[name], values)


def test_a_sum_tree_finds_by_cumulative_sums():
    weights = np.random.default_rng(0).exponential(size=70).astype(np.float32)
    weights[[0, 4, 20, 69]] = 0
    tree = jax.jit(set_weights)(init_sum_tree(70), jnp.arange(70), weights)
    np.testing.assert_allclose(total(tree), weights.sum(), rtol=1e-6)
    masses = np.linspace(0, weights.sum() * 0.999, 50)
    expected = np.searchsorted(np.cumsum(weights), masses, side="right")
    find_all = jax.jit(find)
    np.testing.assert_array_equal(find_all(tree, jnp.float32(masses))[0], expected)
    np.testing.assert_array_equal(
        find_all(tree, jnp.float32(masses))[1], weights[expected]
    )
    # Rounding finds no weight of zero.
    beyond = jnp.full(50, total(tree) * 1.001)
    np.testing.assert_array_equal(find_all(tree, beyond)[0], np.full(50, 68))


def test_observations_keep_their_dtype():
    past = history(3)
    past = past._replace(observation=past.observation.astype(np.uint8))
    state = filled(uniform_replay(4, discount=DISCOUNT), past, 2, 1)
    assert state.data.observation.dtype == jnp.uint8


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: uniform_replay(0, discount=0.9), "capacity=0: expected at least 1"),
        (
            lambda: prioritized_replay(4, discount=0.9, num_steps=0),
            "num_steps=0: expected at least 1",
        ),
        (
            lambda: prioritized_replay(4, discount=0.9, alpha=-1.0),
            "alpha=-1.0: expected at least 0",
        ),
        (
            lambda: filled(uniform_replay(5, discount=0.9), history(3), 3, 3),
            "capacity=5: expected a multiple of num_envs=2",
        ),
        (
            lambda: filled(uniform_replay(4, discount=0.9), history(3), 3, 3),
            "capacity=4: expected at least a rollout of 3 steps in 2 environments",
        ),
    ],
)
def test_sizes_that_do_not_fit_are_said_in_one_line(make, message):
    with pytest.raises(UserError) as raised:
        make()
    assert str(raised.value) == message


def test_rewards_of_the_next_episode_do_not_count_even_if_they_are_nan():
    end = np.array([[False], [True], [False]])
    past = history(3, num_envs=1)._replace(
        reward=np.array([[1.0], [1.0], [np.nan]], np.float32),
        terminated=end,
        truncated=np.zeros_like(end),
    )
    ring = filled(uniform_replay(3, discount=DISCOUNT, num_steps=3), past, 3, 3)
    batch = jax.jit(lambda ring: n_step(ring, jnp.arange(3), discount=0.9, num_steps=3))
    np.testing.assert_allclose(batch(ring)["reward"], [1.9, 1.0, np.nan], rtol=1e-6)


@pytest.mark.parametrize(
    "options",
    [{"discount": -2.0}, {"discount": 1.5}, {"alpha": np.nan}, {"beta": -3.0}],
)
def test_options_out_of_range_are_told(options):
    ((name, value),) = options.items()
    with pytest.raises(UserError, match=f"{name}={value}: expected"):
        prioritized_replay(4, **{"discount": 0.9, **options})
