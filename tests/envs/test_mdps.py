"""Grid worlds and chains against gymnasium's tables and against the book."""

import functools

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import envs
from fdl.errors import UserError

PROGRAMS = 60
MDPS = envs.mdps


def table(mdp):
    """Probability of each (next state, reward), by state and action."""
    found = {}
    num_states, num_actions, _ = mdp.probability.shape
    for s in range(num_states):
        for a in range(num_actions):
            rows = zip(
                mdp.probability[s, a],
                mdp.next_state[s, a],
                mdp.reward[s, a],
                strict=True,
            )
            found[s, a] = summed(rows)
    return found


def summed(rows):
    outcomes = {}
    for probability, after, reward in rows:
        outcome = int(after), float(reward)
        outcomes[outcome] = outcomes.get(outcome, 0.0) + float(probability)
    return outcomes


# FrozenLake's own actions are left, down, right and up.
@pytest.mark.parametrize(
    "name, mdp, actions, options",
    [
        ("CliffWalking-v1", MDPS.cliff(), [0, 1, 2, 3], {}),
        ("FrozenLake-v1", MDPS.frozen_lake(), [3, 2, 1, 0], {}),
        (
            "FrozenLake-v1",
            MDPS.frozen_lake(slip=0.0),
            [3, 2, 1, 0],
            {"is_slippery": False},
        ),
    ],
)
def test_tables_are_those_of_gymnasium(name, mdp, actions, options):
    theirs = gymnasium.make(name, **options).unwrapped.P
    ours = table(mdp)
    assert len(theirs) == len(mdp.terminal)
    for s in np.flatnonzero(~mdp.terminal):
        if name == "CliffWalking-v1" and 37 <= s < 47:
            continue  # Of the cliff, where nobody is.
        for a, theirs_of in enumerate(actions):
            expected = summed(row[:3] for row in theirs[s][theirs_of])
            assert ours[s, a] == pytest.approx(expected)
            for _, after, _, terminated in theirs[s][theirs_of]:
                assert mdp.terminal[after] == terminated


@functools.cache
def lake():
    env = envs.from_mdp(MDPS.frozen_lake())
    return jax.jit(jax.vmap(env.step)), jax.jit(jax.vmap(env.reset))


def test_outcomes_of_an_environment_have_the_probabilities_of_the_table():
    mdp = MDPS.frozen_lake()
    step, reset = lake()
    state, observation = reset(jax.random.split(jax.random.key(0), 4000))
    assert not observation.any()
    here = state._replace(state=jnp.full_like(state.state, 14))
    action = jnp.full(4000, 1)  # To the goal, or up, or into the edge below.
    _, timestep = step(here, action, jax.random.split(jax.random.key(1), 4000))
    share = np.bincount(timestep.observation, minlength=16) / 4000
    expected = np.zeros(16)
    np.add.at(expected, mdp.next_state[14, 1], mdp.probability[14, 1])
    np.testing.assert_allclose(share, expected, atol=0.03)
    np.testing.assert_array_equal(timestep.reward, timestep.observation == 15)
    np.testing.assert_array_equal(timestep.terminated, timestep.observation == 15)
    assert not timestep.truncated.any()


def test_after_the_end_nothing_is_gained():
    step, reset = lake()
    state, _ = reset(jax.random.split(jax.random.key(0), 4000))
    goal = state._replace(state=jnp.full_like(state.state, 15))
    action = jnp.full(4000, 1)
    _, timestep = step(goal, action, jax.random.split(jax.random.key(1), 4000))
    assert timestep.terminated.all()
    assert (timestep.observation == 15).all() and not timestep.reward.any()


def test_a_map_is_read_as_it_is_drawn():
    mdp = MDPS.grid_world("  .#G \n  S.. ")
    right, up, down, left = 1, 0, 2, 3
    after = mdp.next_state[..., 0]
    np.testing.assert_array_equal(after[0, [up, right, down, left]], [0, 0, 3, 0])
    np.testing.assert_array_equal(after[4, [up, right, down, left]], [4, 5, 4, 3])
    np.testing.assert_array_equal(np.flatnonzero(mdp.terminal), [2])
    np.testing.assert_array_equal(mdp.start, np.arange(6) == 3)
    np.testing.assert_array_equal(MDPS.two_corners().start[[0, 15]], 0)
    np.testing.assert_allclose(MDPS.two_corners().start[1:15], 1 / 14)


def test_the_deep_sea_is_that_of_gymnax():
    theirs = envs.gymnax("DeepSea-bsuite", randomize_actions=False)  # Of size 8.
    ours = envs.from_mdp(MDPS.deep_sea(8, seed=None))

    @functools.partial(jax.jit, static_argnums=0)
    def sail(which, actions):
        env, key = (theirs, ours)[which], jax.random.key(0)

        def step(state, action):
            state, timestep = env.step(state, action, key)
            return state, timestep

        _, timesteps = jax.lax.scan(step, env.reset(key)[0], actions)
        return timesteps

    sail = jax.vmap(sail, (None, 0))
    actions = np.random.default_rng(0).integers(2, size=(64, 8), dtype=np.int32)
    actions[0] = 1  # To the treasure.
    expected, actual = (sail(which, actions) for which in range(2))
    np.testing.assert_allclose(actual.reward, expected.reward, atol=1e-7)
    np.testing.assert_array_equal(actual.terminated, expected.terminated)
    assert float(actual.reward[0].sum()) == pytest.approx(0.99)
    cells = jax.nn.one_hot(actual.observation, 64).reshape(64, 8, 8, 8)
    np.testing.assert_array_equal(cells[:, :-1], expected.observation[:, :-1])


def test_the_way_right_differs_from_state_to_state_but_the_best_return_does_not():
    plain, mixed, other = (MDPS.deep_sea(5, seed=seed) for seed in (None, 0, 1))
    assert 5 < (mixed.next_state[:-1] != plain.next_state[:-1]).any((1, 2)).sum() < 20
    assert (mixed.next_state != other.next_state).any()
    np.testing.assert_array_equal(
        *(np.sort(mdp.next_state[..., 0], axis=1) for mdp in (plain, mixed))
    )


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: MDPS.grid_world("..\n."), "equal length"),
        (lambda: MDPS.grid_world(""), "equal length"),
        (lambda: MDPS.grid_world(".x"), "no tile 'x'"),
        (lambda: MDPS.grid_world("G#"), "expected a cell"),
        (lambda: MDPS.grid_world("SSC"), "one start"),
        (lambda: MDPS.grid_world("SG", slip=1.5), r"slip=1.5"),
        (lambda: MDPS.random_walk(4), "num_states=4"),
        (lambda: MDPS.deep_sea(0), "size=0"),
    ],
)
def test_maps_that_are_none_are_one_line(call, message):
    with pytest.raises(UserError, match=message):
        call()


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"probability": np.full((7, 2, 1), 0.5)}, "probability: expected"),
        ({"probability": np.ones((7, 2))}, "expected .S, A, K."),
        ({"reward": np.ones((7, 2, 2))}, "reward .7, 2, 2.: expected .7, 2, 1."),
        ({"next_state": np.full((7, 2, 1), 7)}, "from 0 to 6"),
        ({"start": np.full(7, 1 / 7)}, "terminal"),
        ({"start": np.full(7, np.nan)}, "start: expected"),
    ],
)
def test_arrays_that_are_no_mdp_are_one_line(changes, message):
    with pytest.raises(UserError, match=message):
        envs.from_mdp(MDPS.random_walk(5)._replace(**changes))


def test_a_bandit_pays_around_the_means_that_it_has_drawn():
    env = envs.bandit(3, mean=4.0)

    @jax.jit
    def played(key):
        state, _ = env.reset(key)
        keys = jax.random.split(key, 3000)
        actions = jnp.arange(3000) % 3
        after, timestep = jax.vmap(env.step, (None, 0, 0))(state, actions, keys)
        return state.means, timestep, after.means, jax.vmap(env.reset)(keys)[0].means

    means, timestep, after, drawn = played(jax.random.key(2))
    rewards = np.asarray(timestep.reward).reshape(1000, 3)
    np.testing.assert_allclose(rewards.mean(0), means, atol=0.15)
    np.testing.assert_allclose(rewards.std(0), 1, atol=0.1)
    np.testing.assert_array_equal(after, np.broadcast_to(means, after.shape))
    assert abs(drawn.mean() - 4) < 0.1 and abs(drawn.std() - 1) < 0.1
    assert not (timestep.terminated | timestep.truncated).any()
