import importlib.metadata
import subprocess
import sys

import chex
import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import envs
from fdl.errors import UserError

OLD = importlib.metadata.version("gymnax") < "1"
ENDLESS = {"theta_threshold_radians": 1e9, "x_threshold": 1e9}


def endings(env, num_steps, action=0):
    """What ended after each step, [num_steps] each."""

    def step(state, _):
        state, timestep = env.step(state, jnp.int32(action), jax.random.key(1))
        return state, (timestep.terminated, timestep.truncated)

    state, _ = env.reset(jax.random.key(0))
    return jax.jit(lambda s: jax.lax.scan(step, s, length=num_steps)[1])(state)


def test_falling_terminates_and_does_not_truncate():
    terminated, truncated = endings(envs.gymnax("CartPole-v1"), 20)
    assert terminated.any()
    assert not truncated.any()


def test_the_time_limit_truncates_at_step_500_and_does_not_terminate():
    terminated, truncated = endings(envs.gymnax("CartPole-v1", **ENDLESS), 500)
    assert not terminated.any()
    np.testing.assert_array_equal(truncated, np.arange(1, 501) == 500)


def test_falling_at_the_time_limit_terminates_and_does_not_truncate():
    terminated, _ = endings(envs.gymnax("CartPole-v1"), 20)
    last = int(np.argmax(terminated)) + 1
    env = envs.gymnax("CartPole-v1", max_steps_in_episode=last)
    terminated, truncated = endings(env, last)
    assert terminated[-1] and not truncated[-1]


@pytest.mark.filterwarnings("ignore")  # Of older versions, about dtypes.
def test_a_game_that_remembers_its_end_is_truncated_by_the_time_limit():
    env = envs.gymnax("Breakout-MinAtar", max_steps_in_episode=3)
    terminated, truncated = endings(env, 3)
    assert truncated.tolist() == [False, False, True] and not terminated.any()
    lost, _ = endings(envs.gymnax("Breakout-MinAtar"), 20)
    last = int(np.argmax(lost)) + 1
    env = envs.gymnax("Breakout-MinAtar", max_steps_in_episode=last)
    terminated, truncated = endings(env, last)
    assert terminated[-1] and not truncated.any()


def test_cartpole_moves_as_in_gymnasium():
    theirs = gymnasium.make("CartPole-v1")
    ours = envs.gymnax("CartPole-v1")
    step = jax.jit(ours.step)
    rng = np.random.default_rng(0)
    for seed in range(5):
        expected, _ = theirs.reset(seed=seed)
        state, _ = ours.reset(jax.random.key(0))
        x, x_dot, theta, theta_dot = expected
        state = state.replace(x=x, x_dot=x_dot, theta=theta, theta_dot=theta_dot)
        terminated = False
        while not terminated:
            action = int(rng.integers(2))
            expected, reward, terminated, _, _ = theirs.step(action)
            state, timestep = step(state, action, jax.random.key(0))
            chex.assert_trees_all_close(timestep.observation, expected, atol=1e-5)
            assert timestep.reward == reward
            assert timestep.terminated == terminated
            assert not timestep.truncated


@pytest.mark.parametrize("name", ["MountainCar-v0", "Acrobot-v1"])
def test_discrete_actions_move_as_in_gymnasium(name):
    theirs, ours = gymnasium.make(name).unwrapped, envs.gymnax(name)
    state, _ = ours.reset(jax.random.key(0))
    theirs.reset()
    actions = np.random.default_rng(0).integers(3, size=40)
    steps = jax.jit(
        lambda state, actions: jax.lax.scan(
            lambda state, action: ours.step(state, action, jax.random.key(0)),
            state,
            actions,
        )
    )
    if name == "Acrobot-v1":
        angles = state.joint_angle1, state.joint_angle2
        theirs.state = np.array([*angles, state.velocity_1, state.velocity_2])
    else:
        theirs.state = np.array([state.position, state.velocity])
    _, timesteps = steps(state, jnp.int32(actions))
    for t, action in enumerate(actions):
        expected, reward, terminated, *_ = theirs.step(action)
        # Acrobot is chaotic: rounding grows from step to step.
        np.testing.assert_allclose(timesteps.observation[t], expected, atol=2e-3)
        assert timesteps.reward[t] == reward
        assert timesteps.terminated[t] == terminated


@pytest.mark.parametrize("name", ["Pendulum-v1", "MountainCarContinuous-v0"])
def test_continuous_actions_move_as_in_gymnasium(name):
    theirs, ours = gymnasium.make(name), envs.gymnax(name)
    step = jax.jit(ours.step)
    state, _ = ours.reset(jax.random.key(0))
    theirs.reset()
    inner = theirs.unwrapped
    if name == "Pendulum-v1":
        inner.state = np.array([state.theta, state.theta_dot])
    else:
        inner.state = np.array([state.position, state.velocity])
    for action in np.random.default_rng(0).uniform(-3, 3, size=(20, 1)):
        expected, reward, *_ = inner.step(action.astype(np.float32))
        state, timestep = step(state, jnp.float32(action), jax.random.key(0))
        assert timestep.observation.shape == ours.observation.shape
        chex.assert_trees_all_close(timestep.observation, expected, atol=1e-3)
        np.testing.assert_allclose(timestep.reward, reward, rtol=1e-3, atol=1e-4)


CLASSIC = (
    *("CartPole-v1", "Acrobot-v1", "MountainCar-v0"),
    *("Pendulum-v1", "MountainCarContinuous-v0"),
)


@pytest.mark.parametrize("name", CLASSIC)
def test_specs_are_the_spaces_of_gymnasium(name):
    theirs, ours = gymnasium.make(name), envs.gymnax(name)
    if name != "Acrobot-v1":  # Gymnax does not bound its velocities rightly.
        bounds = ours.observation.minimum, ours.observation.maximum
        space = theirs.observation_space
        chex.assert_trees_all_close(bounds, (space.low, space.high), rtol=1e-6)
    if ours.action.num_values is None:
        space = theirs.action_space
        assert (ours.action.shape, ours.action.dtype) == (space.shape, space.dtype)
        bounds = ours.action.minimum, ours.action.maximum
        chex.assert_trees_all_close(bounds, (space.low, space.high))
    else:
        assert ours.action.num_values == theirs.action_space.n


def test_the_specs_follow_the_parameters():
    assert envs.gymnax("Pendulum-v1", max_torque=0.5).action.maximum == 0.5


SLOW = "Asterix-MinAtar Freeway-MinAtar Seaquest-MinAtar DeepSea-bsuite MetaMaze-misc"
QUICK = (
    "FrozenLake-misc FourRooms-misc Swimmer-misc Reacher-misc PointRobot-misc Pong-misc"
    " BernoulliBandit-misc SimpleBandit-bsuite UmbrellaChain-bsuite Catch-bsuite"
    " Breakout-MinAtar SpaceInvaders-MinAtar MemoryChain-bsuite GaussianBandit-misc"
    " DiscountingChain-bsuite"
)
REST = QUICK.split() + [pytest.param(n, marks=pytest.mark.slow) for n in SLOW.split()]


DOWNLOADS = {"MNISTBandit-bsuite"}  # Its data, when it is made.


def test_all_environments_of_gymnax_are_tested():
    import gymnax

    tested = {*CLASSIC, *QUICK.split(), *SLOW.split()}
    assert set(gymnax.registered_envs) - DOWNLOADS <= tested


@pytest.mark.filterwarnings("ignore")  # Of older versions, about dtypes.
@pytest.mark.some(12)
@pytest.mark.parametrize("name", [*CLASSIC, *REST])
def test_observations_and_actions_are_as_specified(name):
    import gymnax

    if name not in gymnax.registered_envs or (OLD and name == "SimpleBandit-bsuite"):
        pytest.skip("this version of gymnax does not have it, or its step fails")
    env = envs.gymnax(name)
    action = jax.ShapeDtypeStruct(env.action.shape, env.action.dtype)
    with jax.numpy_rank_promotion("allow"):  # As some environments need it.
        state, first = jax.eval_shape(env.reset, jax.random.key(0))
        after, timestep = jax.eval_shape(env.step, state, action, jax.random.key(0))
    expected = env.observation.shape, env.observation.dtype
    for observation in (first, timestep.observation):
        assert (observation.shape, observation.dtype) == expected
    assert env.observation.minimum.shape == env.observation.shape
    chex.assert_trees_all_equal_shapes_and_dtypes(state, after)
    assert timestep.reward == jax.ShapeDtypeStruct((), jnp.float32)


def test_steps_of_gymnax_return_what_the_adapter_was_written_for():
    import gymnax

    env, params = gymnax.make("CartPole-v1")
    _, state = env.reset_env(jax.random.key(0), params)
    state = state.replace(time=params.max_steps_in_episode - 1)
    inner = env.step_env(jax.random.key(0), state, 0, params)
    assert len(inner) == 5
    outer = env.step(jax.random.key(0), state, 0, params)
    if OLD:
        assert len(outer) == 5 and inner[3]  # The time limit is an end like any other.
    else:
        terminated, truncated, info = outer[3:]
        assert not terminated and truncated
        chex.assert_trees_all_close(info["final_observation"], inner[0])


@pytest.mark.parametrize("name", ["Pendulum-v1", "Acrobot-v1", "Catch-bsuite"])
def test_states_keep_their_types_and_episodes_end_as_they_should(name):
    env = envs.gymnax(name)
    first = jax.eval_shape(env.reset, jax.random.key(0))[0]
    action = jnp.zeros(env.action.shape, env.action.dtype)
    state, timestep = jax.eval_shape(env.step, first, action, jax.random.key(0))
    assert jax.tree.leaves(first) == jax.tree.leaves(state)  # Weak types differ, too.
    assert (timestep.reward.dtype, timestep.terminated.dtype) == (jnp.float32, bool)
    terminated, truncated = endings(env, 9, action)
    assert not truncated.any()
    assert terminated.any() == (name == "Catch-bsuite")


def test_wrong_names_are_answered_with_near_ones():
    with pytest.raises(UserError, match="CartPole-v1"):
        envs.gymnax("CartPol-v1")
    with pytest.raises(UserError, match="Did you mean 'gravity'"):
        envs.gymnax("CartPole-v1", gravty=1.0)


@pytest.mark.slow
def test_importing_is_light():
    code = (
        "import sys, fdl.rl, fdl.envs; print({'gymnax', 'matplotlib'} & {*sys.modules})"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"
