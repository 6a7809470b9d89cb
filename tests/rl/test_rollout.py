import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.envs import box, discrete
from fdl.errors import UserError
from fdl.rl import unroll
from fdl.rl.rollout import reset_all
from fdl.types import Env, Timestep

KEY = jax.random.key(0)


def corridor():
    """Begins somewhere in 0, 1; terminates at 4 or beyond; is cut after 3 steps."""

    def reset(key):
        state = jnp.stack([jax.random.randint(key, (), 0, 2), jnp.int32(0)])
        return state, observe(state)

    def step(state, action, key):
        del key  # It is what is in the corridor that counts.
        state = state + jnp.stack([action, jnp.int32(1)])
        terminated = state[0] >= 4
        truncated = (state[1] >= 3) & ~terminated
        reward = state[0].astype(jnp.float32)
        return state, Timestep(observe(state), reward, terminated, truncated)

    def observe(state):
        return state[:1].astype(jnp.float32)

    return Env(reset, step, box((1,)), discrete(3))


def policy(observation, key):
    """Strides of 0 to 2, by where one is and by chance."""
    chance = jax.random.randint(key, observation.shape[:1], 0, 2)
    return (observation[:, 0].astype(jnp.int32) + chance) % 3


def test_unroll_is_a_loop_that_resets_where_an_episode_ended():
    env, num_envs, num_steps = corridor(), 5, 12
    keys = jax.random.split(jax.random.key(0), num_envs)
    env_state, observation = jax.vmap(env.reset)(keys)
    args = env_state, observation, jax.random.key(1)
    states, observations, seen = jax.jit(
        lambda state, seen, key: unroll(env, policy, state, seen, key, num_steps)
    )(*args)

    place, clock = np.array(env_state).T
    resets = ends = cuts = 0
    for t in range(num_steps):
        np.testing.assert_array_equal(seen.observation[t, :, 0], place)
        place, clock = place + np.array(seen.action[t]), clock + 1
        np.testing.assert_array_equal(seen.next_observation[t, :, 0], place)
        np.testing.assert_array_equal(seen.reward[t], place)
        np.testing.assert_array_equal(seen.terminated[t], place >= 4)
        np.testing.assert_array_equal(seen.truncated[t], (place < 4) & (clock >= 3))
        after = observations if t == num_steps - 1 else seen.observation[t + 1]
        begun = np.array(after[:, 0]).astype(int)
        ended = (place >= 4) | (clock >= 3)
        assert np.isin(begun[ended], [0, 1]).all()  # A reset, which is left to chance.
        place, clock = np.where(ended, begun, place), np.where(ended, 0, clock)
        ends, cuts = ends + (place >= 4).sum(), cuts + seen.truncated[t].sum()
        resets += len({*begun[ended]}) > 1
    np.testing.assert_array_equal(states, np.stack([place, clock], axis=1))
    assert seen.terminated.any() and cuts > 0 and resets > 0


def test_unrolling_twice_goes_on_where_it_stopped():
    env = corridor()
    env_state, observation = jax.vmap(env.reset)(jax.random.split(jax.random.key(0), 2))

    def still(observation, key):
        return jnp.zeros(len(observation), jnp.int32)

    def go(state, observation):
        return unroll(env, still, state, observation, jax.random.key(1), 2)

    state, observation, first = jax.jit(go)(env_state, observation)
    _, _, second = jax.jit(go)(state, observation)
    assert not first.ended.any()  # Two steps of three.
    np.testing.assert_array_equal(second.truncated, [[True, True], [False, False]])
    np.testing.assert_array_equal(second.observation[0], first.next_observation[-1])


@pytest.mark.parametrize("wrong", [jnp.zeros(2), jnp.zeros((2, 1), jnp.int32)])
def test_actions_of_another_kind_or_shape_are_an_error(wrong):
    env = corridor()
    state, observation = jax.eval_shape(jax.vmap(env.reset), jax.random.split(KEY, 2))

    def go(state, observation):
        return unroll(env, lambda *_: wrong, state, observation, KEY, 2)

    with pytest.raises(UserError, match=r"action .*: expected int32 \[N\]"):
        jax.eval_shape(go, state, observation)


def test_observations_other_than_specified_are_an_error():
    env = corridor()._replace(observation=box((2,)))
    state, observation = jax.eval_shape(jax.vmap(env.reset), jax.random.split(KEY, 2))

    def go(state, observation):
        return unroll(env, policy, state, observation, KEY, 2)

    with pytest.raises(UserError, match=r"observation float32 \[N, 1\]: .*\[N, 2\]"):
        jax.eval_shape(go, state, observation)


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"reward": lambda x: x.astype(jnp.int32)},
            "reward int32 [N] of env.step: expected float [N]",
        ),
        (
            {"reward": lambda x: x[None]},
            "reward float32 [N, 1] of env.step: expected float [N]",
        ),
        (
            {"terminated": lambda x: x.astype(jnp.int32)},
            "terminated int32 [N] of env.step: expected bool [N]",
        ),
    ],
)
def test_environments_that_break_their_contract_are_told(changes, message):
    def step(state, action, key):
        state, timestep = corridor().step(state, action, key)
        changed = {name: f(getattr(timestep, name)) for name, f in changes.items()}
        return state, timestep._replace(**changed)

    env = corridor()._replace(step=step)
    with pytest.raises(UserError) as raised:
        jax.eval_shape(lambda: unroll(env, policy, *reset_all(env, KEY, 2), KEY, 3))
    assert str(raised.value) == message


def test_first_observations_are_those_of_the_specification():
    env = corridor()._replace(observation=box((1,), dtype="int32"))
    with pytest.raises(
        UserError, match=r"observation float32 \[N, 1\]: expected int32"
    ):
        jax.eval_shape(lambda: reset_all(env, KEY, 2))
