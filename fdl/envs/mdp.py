"""Finite Markov decision processes as arrays, and the environments of them."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fdl.envs.specs import discrete
from fdl.errors import UserError
from fdl.types import Array, Env, Key, Timestep


class MDP(NamedTuple):
    """Finite Markov decision process (MDP): S states, A actions, K outcomes of each.

    The outcomes of an action are the dynamics p(s', r | s, a) of Sutton and Barto.
    Where actions have fewer than K outcomes, the others have probability zero.

    Attributes:
      probability: Probability of each outcome, float [S, A, K].
      next_state: State that it leads to, int [S, A, K].
      reward: Reward that it gives, float [S, A, K].
      terminal: True for states that end an episode, bool [S]; their value is zero,
        whatever the arrays have as their outcomes.
      start: Probability that an episode begins in a state, float [S].
    """

    probability: Array | np.ndarray
    next_state: Array | np.ndarray
    reward: Array | np.ndarray
    terminal: Array | np.ndarray
    start: Array | np.ndarray


class MDPState(NamedTuple):
    """State of an environment of an MDP.

    Attributes:
      state: Number of the current state, int32 [].
    """

    state: Array


def from_mdp(mdp: MDP) -> Env:
    """Environment of a finite MDP, which observes the number of its state, int32 [].

    `one_hot_observations` turns the number into an input of a network.

    Args:
      mdp: Markov decision process, of concrete arrays.

    Raises:
      UserError: Shapes do not agree, probabilities of an action or of the start do not
        sum to one, an outcome leads to no state, or an episode may begin at its end.

    Example:
      >>> from fdl import envs
      >>> env = envs.from_mdp(envs.mdps.cliff())
      >>> state, observation = env.reset(jax.random.key(0))
      >>> _, timestep = env.step(state, jnp.int32(1), jax.random.key(1))
      >>> int(observation), float(timestep.reward)  # To the right lies the cliff.
      (36, -100.0)
    """
    _check(mdp)
    num_states, num_actions, _ = np.shape(mdp.probability)
    probability, reward, start = (
        jnp.asarray(x, jnp.float32) for x in (mdp.probability, mdp.reward, mdp.start)
    )
    next_state = jnp.asarray(mdp.next_state, jnp.int32)
    terminal = jnp.asarray(mdp.terminal, bool)

    def reset(key):
        state = draw(key, start)
        return MDPState(state), state

    def step(env_state, action, key):
        state = env_state.state
        outcome = draw(key, probability[state, action])
        after = next_state[state, action, outcome]
        gained = reward[state, action, outcome]
        # What comes after the end is no part of the episode.
        after = jnp.where(terminal[state], state, after)
        gained = jnp.where(terminal[state], 0, gained)
        timestep = Timestep(after, gained, terminal[after], jnp.zeros((), bool))
        return MDPState(after), timestep

    return Env(reset, step, discrete(num_states), discrete(num_actions))


def draw(key: Key, probability: Array) -> Array:
    """State or action at random, of given probabilities.

    Args:
      key: Key.
      probability: Probability of each, float [..., A].

    Returns:
      Numbers, int32 [...].
    """
    return jax.random.categorical(key, jnp.log(probability)).astype(jnp.int32)


def _check(mdp: MDP) -> None:
    probability, next_state, reward, terminal, start = map(np.asarray, mdp)
    if probability.ndim != 3:
        raise UserError(f"probability {[*probability.shape]}: expected [S, A, K]")
    num_states = len(probability)
    expected = {
        "next_state": (next_state, probability.shape),
        "reward": (reward, probability.shape),
        "terminal": (terminal, (num_states,)),
        "start": (start, (num_states,)),
    }
    for name, (x, shape) in expected.items():
        if x.shape != shape:
            raise UserError(f"{name} {[*x.shape]}: expected {[*shape]}")
    for name, x in (("probability", probability), ("start", start)):
        if (x < 0).any() or not np.allclose(x.sum(axis=-1), 1, atol=1e-5):
            raise UserError(f"{name}: expected probabilities that sum to 1")
    if next_state.min() < 0 or next_state.max() >= num_states:
        raise UserError(f"next_state: expected numbers from 0 to {num_states - 1}")
    if (start * terminal).any():
        raise UserError("start: expected zero in states that are terminal")
