"""Episodes that are recorded are those that the environment has."""

import jax
import jax.numpy as jnp
import numpy as np

from fdl.envs import box, discrete
from fdl.rl import Player, RecurrentPolicy, play, record
from fdl.types import Env, Timestep

KEY = jax.random.key(0)


def counter(limit=300):
    """Counts up by the action; terminates at a number that is drawn at the start."""

    def reset(key):
        end = jax.random.randint(key, (), 3, 9)
        state = jnp.stack([jnp.zeros((), jnp.int32), end, jnp.zeros((), jnp.int32)])
        return state, observe(state)

    def step(state, action, key):
        del key  # The dynamics are deterministic.
        state = state + jnp.array([1, 0, 1]) * jnp.array([action, 0, 1])
        terminated = state[0] >= state[1]
        truncated = ~terminated & (state[2] >= limit)
        reward = state[0].astype(jnp.float32)
        return state, Timestep(observe(state), reward, terminated, truncated)

    def observe(state):
        return state[:2].astype(jnp.float32)

    return Env(reset, step, box((2,)), discrete(2), "Counter")


def forwards(variables, observation, key):
    del key
    return jnp.full(len(observation), variables["params"]["action"])


def probabilities(variables, observation):
    del variables
    return jax.nn.softmax(observation, axis=-1)


ON = {"params": {"action": jnp.array(1)}}


def test_episodes_are_whole_and_no_longer():
    player = Player(counter(), forwards, probabilities)
    episodes = record(player, ON, KEY, num_episodes=5)
    for episode in episodes:
        steps = episode.transitions
        end = int(steps.observation[0, 1])
        np.testing.assert_array_equal(steps.observation[:, 0], np.arange(end))
        np.testing.assert_array_equal(steps.next_observation[:, 0], np.arange(end) + 1)
        np.testing.assert_array_equal(steps.reward, np.arange(end) + 1)
        assert steps.terminated.tolist() == [False] * (end - 1) + [True]
        assert episode.ended and episode.total == end * (end + 1) / 2
        np.testing.assert_allclose(
            episode.probabilities, jax.nn.softmax(steps.observation), rtol=1e-6
        )
    assert len({len(episode.transitions.reward) for episode in episodes}) > 1
    returns, _ = play(counter(), forwards, ON, KEY, num_episodes=5, max_steps=300)
    assert returns.tolist() == [episode.total for episode in episodes]


def test_what_never_ends_is_recorded_as_long_as_is_asked():
    still = {"params": {"action": jnp.array(0)}}
    player = Player(counter(), forwards)
    (episode,) = record(player, still, KEY, max_steps=200)
    assert len(episode.transitions.reward) == 200 and not episode.ended
    assert episode.probabilities is None
    (cut,) = record(player, still, KEY, max_steps=400)
    assert len(cut.transitions.reward) == 300 and cut.ended
    assert cut.transitions.truncated[-1] and not cut.transitions.terminated[-1]


def test_a_policy_with_a_carry_remembers():
    def every_second(variables, carry, observation, key):
        del variables, observation, key
        return carry + 1, carry % 2

    policy = RecurrentPolicy(lambda count: jnp.zeros(count, jnp.int32), every_second)
    for episode in record(Player(counter(), policy), ON, KEY, num_episodes=5):
        end = int(episode.transitions.observation[0, 1])
        assert episode.transitions.action.tolist() == [0, 1] * end
    returns, lengths = play(counter(), policy, ON, KEY, num_episodes=5, max_steps=300)
    assert (returns == (lengths / 2) ** 2).all()  # 0 + 1 + 1 + 2 + 2 + ... + n.
