import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import envs, rl
from fdl.errors import UserError
from fdl.types import Env, Timestep


def lottery():
    """Lasts as many steps as was drawn at the reset, and goes on paying afterwards."""

    def reset(key):
        drawn = jax.random.randint(key, (), 1, 30)
        return (drawn, jnp.int32(0)), drawn[None]

    def step(state, action, key):
        del key  # All was drawn.
        drawn, clock = state
        ended, even = clock + 1 >= drawn, drawn % 2 == 0
        timestep = Timestep(
            drawn[None], action.astype(jnp.float32), ended & even, ended & ~even
        )
        return (drawn, clock + 1), timestep

    return Env(reset, step, envs.box((1,), 1, 29, "int32"), envs.box(()))


def policy(variables, observation, key):
    return jnp.broadcast_to(variables["params"], observation.shape[:1])


def variables(reward):
    return {"params": jnp.float32(reward)}


def test_every_episode_is_played_to_its_end_and_no_further():
    def played(key):
        return rl.play(
            lottery(), policy, variables(2.0), key, num_episodes=50, max_steps=100
        )

    returns, lengths = jax.jit(played)(jax.random.key(0))
    reset_key, _ = jax.random.split(jax.random.key(0))
    (drawn, _), _ = jax.vmap(lottery().reset)(jax.random.split(reset_key, 50))
    np.testing.assert_array_equal(lengths, drawn)
    np.testing.assert_array_equal(returns, 2.0 * drawn)


def test_what_is_reported_are_means_and_the_worst():
    evaluate = rl.on_episodes(lottery(), policy, num_episodes=50, seed=3)
    returns, lengths = rl.play(
        lottery(),
        policy,
        variables(2.0),
        jax.random.key(3),
        num_episodes=50,
        max_steps=100,
    )
    metrics = evaluate(variables(2.0))
    assert metrics == {
        "episode_return": float(returns.mean()),
        "episode_return_min": float(returns.min()),
        "episode_length": float(lengths.mean()),
    }
    assert metrics == evaluate(variables(2.0))
    assert evaluate(variables(1.0))["episode_return"] == metrics["episode_return"] / 2


def test_episodes_are_cut_at_the_time_limit_of_the_environment_or_at_max_steps():
    forever = {"theta_threshold_radians": 1e9, "x_threshold": 1e9}
    env = envs.gymnax("CartPole-v1", **forever)
    for max_steps, expected in [(10_000, 500.0), (7, 7.0)]:
        evaluate = rl.on_episodes(env, policy, num_episodes=3, max_steps=max_steps)
        assert set(evaluate({"params": jnp.int32(0)}).values()) == {expected}


def test_actions_that_the_environment_does_not_take_are_an_error():
    evaluate = rl.on_episodes(lottery(), policy, num_episodes=2)
    with pytest.raises(UserError, match=r"action int32 \[N\]: expected float32 \[N\]"):
        evaluate({"params": jnp.int32(0)})


@pytest.mark.parametrize("name", ["num_episodes", "max_steps"])
def test_no_episode_and_no_step_are_told_at_once(name):
    with pytest.raises(UserError, match=f"{name}=0: expected at least 1"):
        rl.on_episodes(None, None, **{"num_episodes": 1, name: 0})
