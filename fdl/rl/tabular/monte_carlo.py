"""Monte Carlo methods with tables: averages of the returns of whole episodes."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from fdl.envs.mdp import draw
from fdl.errors import check_positive
from fdl.metrics import mean
from fdl.rl.returns.recursion import accumulate
from fdl.rl.rollout import Transition
from fdl.rl.tabular.tables import checked_policy, epsilon_greedy, sizes
from fdl.types import Array, Env, Key, Learner, Variables


class MonteCarloState(NamedTuple):
    """State of a Monte Carlo method.

    Attributes:
      step: Number of episodes, int32 [].
      key: Root key, from which those of all episodes are derived; it never changes.
      action_values: Mean return after each action, float32 [S, A].
      counts: Number of returns in each mean, int32 [S, A].
    """

    step: Array
    key: Key
    action_values: Array
    counts: Array

    @property
    def variables(self) -> Variables:
        """Variables of the model `table`."""
        return {"params": {"action_values": self.action_values}}


def monte_carlo_control(
    env: Env,
    *,
    epsilon: float,
    discount: float,
    max_steps: int,
    first_visit: bool = True,
) -> Learner:
    """On-policy Monte Carlo control: the ε-greedy policy of mean returns.

    Each step of the learner plays an episode. One that is truncated, or that does not
    end within ``max_steps``, is left out: its returns are not known.

    The variables are those of `table`; the metric ``loss`` is the mean squared
    difference of a return and the mean before.

    Args:
      env: Environment whose observations and actions are each a discrete number.
      epsilon: Probability ε of an action at random; one takes all actions alike.
      discount: Discount factor γ.
      max_steps: Maximum number of steps of an episode.
      first_visit: Whether the first visit of an observation and action in an episode is
        the one that counts; otherwise, all of them.

    Raises:
      UserError: Observations or actions are no discrete numbers, or ``max_steps`` is
        below 1.

    References:
      Sutton and Barto, `Reinforcement Learning: An Introduction
      <http://incompleteideas.net/book/the-book-2nd.html>`_, 2018, chapter 5.
    """

    def policy(action_values):
        return epsilon_greedy(action_values, epsilon)

    return _monte_carlo(env, policy, discount, max_steps, first_visit)


def monte_carlo_prediction(
    env: Env,
    policy: Array,
    *,
    discount: float,
    max_steps: int,
    first_visit: bool = True,
) -> Learner:
    """Monte Carlo prediction: the action values of a given policy, as mean returns.

    Args:
      env: Environment whose observations and actions are each a discrete number.
      policy: Probability of each action, float [S, A].
      discount: Discount factor γ.
      max_steps: Maximum number of steps of an episode; see `monte_carlo_control`.
      first_visit: Whether only the first visit in an episode counts.

    Raises:
      UserError: As in `monte_carlo_control`, or the policy has another shape.
    """
    policy = checked_policy(policy, env)
    return _monte_carlo(env, lambda values: policy, discount, max_steps, first_visit)


def _monte_carlo(
    env: Env,
    policy: Callable[[Array], Array],
    discount: float,
    max_steps: int,
    first_visit: bool,
) -> Learner:
    """Learner of ``policy(action_values)``, to probabilities [S, A]."""
    shape = sizes(env)
    check_positive(max_steps=max_steps)

    def init(key):
        zero = jnp.zeros((), jnp.int32)
        zeros = jnp.zeros(shape, jnp.float32)
        return MonteCarloState(zero, key, zeros, jnp.zeros(shape, jnp.int32))

    def step(state, batch=None):
        del batch
        key = jax.random.fold_in(state.key, state.step)
        probability = policy(state.action_values)
        transitions, playing = _episode(env, probability, key, max_steps)
        complete = (transitions.terminated & playing).any()
        reward = transitions.reward * playing
        returns = accumulate(reward, jnp.full_like(reward, discount))
        pairs = transitions.observation, transitions.action
        counted = playing & complete
        if first_visit:
            counted &= _is_first(pairs, shape)
        # Means of all returns so far, those of this episode with them.
        added = jnp.zeros(shape, jnp.int32).at[pairs].add(counted)
        sums = jnp.zeros(shape, jnp.float32).at[pairs].add(counted * returns)
        counts = state.counts + added
        difference = sums - added * state.action_values
        action_values = state.action_values + difference / jnp.maximum(counts, 1)
        error = jnp.square(returns - state.action_values[pairs])
        metrics = {
            "loss": mean(error, counted.astype(jnp.float32)),
            "episode_return": mean(reward.sum()[None]),
            "episode_length": mean(playing.sum(dtype=jnp.float32)[None]),
            "complete": mean(complete.astype(jnp.float32)[None]),
        }
        return MonteCarloState(
            state.step + 1, state.key, action_values, counts
        ), metrics

    return Learner(init, step)


def _episode(
    env: Env, probability: Array, key: Key, max_steps: int
) -> tuple[Transition, Array]:
    """Transitions of an episode, [T], and where it was still played, bool [T]."""
    reset_key, play_key = jax.random.split(key)

    def advance(carry, key):
        env_state, observation, playing = carry
        act_key, step_key = jax.random.split(key)
        action = draw(act_key, probability[observation])
        env_state, timestep = env.step(env_state, action, step_key)
        transition = Transition(observation, action, *timestep)
        carry = env_state, timestep.observation, playing & ~transition.ended
        return carry, (transition, playing)

    start = *env.reset(reset_key), jnp.ones((), bool)
    keys = jax.random.split(play_key, max_steps)
    return jax.lax.scan(advance, start, keys)[1]


def _is_first(pairs: tuple[Array, Array], shape: tuple[int, int]) -> Array:
    """True at the first visit of each pair, bool [T]."""
    times = jnp.arange(len(pairs[0]))
    earliest = jnp.full(shape, len(times)).at[pairs].min(times)
    return earliest[pairs] == times
