import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import envs
from fdl.errors import UserError


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
