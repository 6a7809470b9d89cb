import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import envs
from fdl.errors import UserError
from fdl.types import Env, Timestep

KEY = jax.random.key(0)


def test_actions_out_of_bounds_are_clipped_to_them():
    env = envs.gymnax("MountainCarContinuous-v0")
    clipped = envs.clip_actions(env)
    assert np.isinf(clipped.action.maximum).all()
    assert clipped.observation is env.observation

    @jax.jit
    def rewards(action):
        state, _ = env.reset(jax.random.key(0))
        steps = (e.step(state, action, jax.random.key(1))[1] for e in (env, clipped))
        return [timestep.reward for timestep in steps]

    # Its own reward charges for the action before it clips the force.
    for action, expected in ((0.5, [-0.025, -0.025]), (-3.0, [-0.9, -0.1])):
        np.testing.assert_allclose(rewards(jnp.full(1, action)), expected, rtol=1e-5)


def test_actions_keep_their_dtype():
    env = envs.clip_actions(envs.gymnax("Pendulum-v1"))
    state, _ = jax.eval_shape(env.reset, jax.random.key(0))
    half = jax.ShapeDtypeStruct((1,), jnp.bfloat16)
    _, timestep = jax.eval_shape(env.step, state, half, jax.random.key(0))
    assert timestep.observation.dtype == jnp.float32


def test_discrete_actions_cannot_be_clipped():
    with pytest.raises(UserError, match="continuous"):
        envs.clip_actions(envs.gymnax("CartPole-v1"))


def counting(end=5):
    """Observes twice the clock and the action; terminates at a time."""

    def seen(clock, action):
        return jnp.stack([2.0 * clock, action.astype(jnp.float32)])

    def reset(key):
        del key
        clock = jnp.zeros((), jnp.int32)
        return clock, seen(clock, jnp.int32(9))

    def step(clock, action, key):
        del key  # Nothing is random.
        clock = clock + 1
        reward = clock.astype(jnp.float32)
        never = jnp.zeros((), bool)
        return clock, Timestep(seen(clock, action), reward, clock == end, never)

    return Env(reset, step, envs.box((2,), 0, [99, 9]), envs.discrete(10))


def played(env, actions, seed=0):
    """First observation, and the timesteps of actions."""

    @jax.jit
    def play(actions):
        state, first = env.reset(jax.random.key(seed))
        keys = jax.random.split(jax.random.key(seed), len(actions))

        def step(state, inputs):
            return env.step(state, *inputs)

        return first, jax.lax.scan(step, state, (actions, keys))[1]

    first, timesteps = play(jnp.asarray(actions))
    assert first.shape == timesteps.observation.shape[1:] == env.observation.shape
    assert first.dtype == timesteps.observation.dtype == env.observation.dtype
    return first, timesteps


@pytest.mark.parametrize("limit, terminated, truncated", [(3, 5, 3), (5, 5, None)])
def test_a_time_limit_truncates_what_has_not_terminated(limit, terminated, truncated):
    _, timesteps = played(envs.time_limit(counting(), limit), range(5))
    time = np.arange(1, 6)
    np.testing.assert_array_equal(timesteps.terminated, time == terminated)
    expected = (time >= limit) & (time < terminated) if truncated else time < 0
    np.testing.assert_array_equal(timesteps.truncated, expected)


def test_stacked_frames_are_the_latest_and_begin_with_the_first():
    env = envs.frame_stack(counting(), 3)
    actions = [4, 5, 6, 7]
    first, timesteps = played(env, actions)
    frames = np.array([[0, 9]] * 3 + [[2 * t + 2, a] for t, a in enumerate(actions)])
    np.testing.assert_array_equal(first, frames[:3].ravel())
    expected = [frames[t + 1 : t + 4].ravel() for t in range(4)]
    np.testing.assert_array_equal(timesteps.observation, expected)
    np.testing.assert_array_equal(env.observation.maximum, [99, 9] * 3)


def test_scaled_actions_span_the_bounds():
    inner = envs.gymnax("Pendulum-v1", max_torque=2.0)
    inner = inner._replace(action=envs.box((1,), -1.0, 3.0))
    env = envs.scale_actions(inner)

    @jax.jit
    def rewards(scaled, action):
        state, _ = env.reset(jax.random.key(0))
        steps = (env.step(state, scaled, KEY), inner.step(state, action, KEY))
        return [timestep.reward for _, timestep in steps]

    for scaled, action in ((-1.0, -1.0), (0.0, 1.0), (0.5, 2.0)):
        ours, theirs = rewards(jnp.full(1, scaled), jnp.full(1, action))
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    assert (env.action.minimum, env.action.maximum) == (-1, 1)


def test_rewards_are_a_function_of_the_timestep():
    env = envs.map_rewards(counting(end=2), lambda x: 10 * x.reward + x.terminated)
    state, _ = env.reset(jax.random.key(0))
    rewards = []
    for _ in range(2):
        state, timestep = env.step(state, jnp.int32(1), jax.random.key(1))
        rewards.append(float(timestep.reward))
        assert (timestep.observation == jnp.stack([2.0 * state, 1])).all()
    assert rewards == [10, 21]


def test_sticky_actions_repeat_the_one_that_was_taken():
    env = envs.sticky_actions(counting(end=0), 0.25)
    actions = np.tile(np.arange(10), 300)
    _, timesteps = played(env, actions)
    taken = timesteps.observation[:, 1]
    before = np.concatenate([[-1], taken[:-1]])
    assert ((taken == actions) | (taken == before)).all()
    assert taken[0] == actions[0]
    # One after ten repetitions is the same by chance: never seen.
    assert abs((taken == before).mean() - 0.25) < 0.03
    _, timesteps = played(envs.sticky_actions(counting(), 1.0), range(5))
    np.testing.assert_array_equal(timesteps.observation[:, 1], 0)


def test_numbers_become_one_hot_vectors():
    env = envs.one_hot_observations(envs.from_mdp(envs.mdps.random_walk(3)))
    first, timesteps = played(env, [1, 1])
    np.testing.assert_array_equal(first, np.eye(5)[2])
    np.testing.assert_array_equal(timesteps.observation, np.eye(5)[[3, 4]])


def test_wrappers_compose():
    env = envs.from_mdp(envs.mdps.random_walk(3))
    env = envs.time_limit(envs.frame_stack(envs.one_hot_observations(env), 2), 2)
    _, timesteps = played(env, [0, 1])
    expected = np.eye(5)[[[2, 1], [1, 2]]].reshape(2, 10)
    np.testing.assert_array_equal(timesteps.observation, expected)
    np.testing.assert_array_equal(timesteps.truncated, [False, True])


def test_the_name_stays_where_a_policy_may_play_in_the_environment_of_that_name():
    env = envs.gymnax("Pendulum-v1")
    kept = envs.time_limit(envs.clip_actions(env), 5)
    assert kept.name == "Pendulum-v1"
    others = envs.frame_stack(env, 2), envs.scale_actions(env), envs.sticky_actions(env)
    assert {other.name for other in others} == {""}


WALK = envs.from_mdp(envs.mdps.random_walk())


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: envs.time_limit(WALK, 0), "max_steps=0"),
        (lambda: envs.frame_stack(counting(), 0), "num_frames=0"),
        (lambda: envs.frame_stack(WALK, 2), "one_hot_observations"),
        (lambda: envs.scale_actions(WALK), "expected continuous actions"),
        (lambda: envs.sticky_actions(WALK, 1.5), "probability=1.5"),
        (lambda: envs.one_hot_observations(counting()), "expected one number"),
        (
            lambda: envs.scale_actions(envs.clip_actions(envs.gymnax("Pendulum-v1"))),
            "expected finite bounds",
        ),
    ],
)
def test_what_cannot_be_wrapped_is_one_line(call, message):
    with pytest.raises(UserError, match=message):
        call()
