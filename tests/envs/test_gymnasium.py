"""Policies reach in gymnasium what they reach in gymnax."""

import jax.numpy as jnp
import numpy as np
import pytest

from fdl import envs, rl
from fdl.errors import UserError


def with_the_velocity(variables, observation, key):
    """Pushes a car in the direction in which it moves: out of the valley."""
    del variables, key
    return jnp.where(observation[:, 1] < 0, 0, 2)


def against_the_fall(variables, observation, key):
    """Pushes a cart below its falling pole."""
    del variables, key
    _, _, angle, velocity = observation.T
    return (angle + 0.5 * velocity > 0).astype(jnp.int32)


def swing(variables, observation, key):
    """Pushes the lower link of an acrobot as it moves."""
    del variables, key
    return jnp.where(observation[:, 4] < 0, 2, 0)


def energy(variables, observation, key):
    """Swings a pendulum up, and holds it there."""
    del variables, key
    cos, sin, velocity = observation.T
    above = -(16 * sin + 4 * velocity)
    below = jnp.where(velocity < 0, -2.0, 2.0)
    return jnp.where(cos > 0.9, above, below)[:, None].astype(jnp.float32)


POLICIES = {
    "CartPole-v1": against_the_fall,
    "MountainCar-v0": with_the_velocity,
    "Acrobot-v1": swing,
    "Pendulum-v1": energy,
}


def returns(name, num_episodes, max_steps=1000):
    policy, size = POLICIES[name], {"num_episodes": num_episodes}
    evaluate = rl.on_episodes(envs.gymnax(name), policy, max_steps=max_steps, **size)
    here = evaluate({"params": {}})
    there, lengths = envs.play_in_gymnasium(
        name, policy, {"params": {}}, max_steps=max_steps, **size
    )
    return here, there, lengths


def test_a_policy_that_balances_does_so_on_both_sides():
    here, there, lengths = returns("CartPole-v1", 3, max_steps=150)
    assert here["episode_return_min"] == 150
    np.testing.assert_array_equal(there, 150)
    np.testing.assert_array_equal(lengths, 150)


@pytest.mark.slow
@pytest.mark.parametrize("name", POLICIES)
def test_mean_returns_are_the_same_on_both_sides(name):
    here, there, lengths = returns(name, 500)
    error = there.std() / 500**0.5
    assert abs(here["episode_return"] - there.mean()) <= 4.5 * error
    assert abs(here["episode_length"] - lengths.mean()) <= 4.5 * error


def test_episodes_are_cut_and_actions_are_clipped():
    def strong(variables, observation, key):
        return jnp.full((len(observation), 1), variables["params"])

    played = [
        envs.play_in_gymnasium(
            "Pendulum-v1", strong, {"params": torque}, num_episodes=2, max_steps=5
        )
        for torque in (2.0, 50.0)
    ]
    np.testing.assert_array_equal(played[0], played[1])
    np.testing.assert_array_equal(played[0][1], 5)


@pytest.mark.parametrize(
    "name, message",
    [("CartPol-v1", "CartPole-v1"), ("Pendulum-v1", r"action int32 \[N\]: expected")],
)
def test_mistakes_are_one_line(name, message):
    with pytest.raises(UserError, match=message):
        envs.play_in_gymnasium(name, nothing, {"params": {}}, num_episodes=1)


def nothing(variables, observation, key):
    del variables, key
    return jnp.zeros(len(observation), jnp.int32)
