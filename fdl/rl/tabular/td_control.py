"""Temporal-difference control with tables: SARSA, expected SARSA, Q-learning."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from fdl.envs.mdp import draw
from fdl.errors import check_positive
from fdl.metrics import mean
from fdl.rl.statistics.episodes import (
    EpisodeStats,
    init_episode_stats,
    update_episode_stats,
)
from fdl.rl.tabular.tables import Rate, epsilon_greedy, rate_at, sizes
from fdl.types import Array, Env, Key, Learner, State, Variables

# `bootstrap(action_values, action, probability)`: value of the next observation, of the
# values [A] of its actions, the one that is taken next, and the probability of each.
Bootstrap = Callable[[Array, Array, Array], Array]


class ControlState(NamedTuple):
    """State of tabular control and of its environment.

    Attributes:
      step: Number of learner steps, int32 [].
      key: Root key, from which those of all steps are derived; it never changes.
      action_values: Value of each action, float32 [S, A].
      env: State of the environment.
      observation: Current observation, int32 [].
      action: Action that is taken next, int32 [].
      episode: Return and length of the running episode, [1].
    """

    step: Array
    key: Key
    action_values: Array
    env: State
    observation: Array
    action: Array
    episode: EpisodeStats

    @property
    def variables(self) -> Variables:
        """Variables of the model `table`."""
        return {"params": {"action_values": self.action_values}}


def sarsa(action_values: Array, action: Array, probability: Array) -> Array:
    """Bootstrap of SARSA: the value of the action that is taken next."""
    del probability
    return action_values[action]


def expected_sarsa(action_values: Array, action: Array, probability: Array) -> Array:
    """Bootstrap of expected SARSA: the mean value of the policy's next action."""
    del action
    return probability @ action_values


def q_learning(action_values: Array, action: Array, probability: Array) -> Array:
    """Bootstrap of Q-learning: the value of the best next action, off-policy."""
    del action, probability
    return action_values.max()


def td_control(
    env: Env,
    bootstrap: Bootstrap,
    *,
    step_size: Rate,
    epsilon: Rate,
    discount: float,
    num_steps: int,
    initial: float = 0.0,
) -> Learner:
    """Temporal-difference control with a table: SARSA, expected SARSA or Q-learning.

    ``q(s, a) += α (r + γ bootstrap(q(s')) - q(s, a))`` after each step of the
    environment, with an ε-greedy policy. In a terminal state the bootstrap is zero; an
    episode that is truncated is bootstrapped. The next action is drawn before the
    update, for SARSA needs it there.

    The variables are those of `table`; the metric ``loss`` is the mean squared TD
    error.

    Args:
      env: Environment whose observations and actions are each a discrete number.
      bootstrap: `sarsa`, `expected_sarsa`, `q_learning`, or a function like them.
      step_size: Step size α, or a function of the environment step.
      epsilon: Probability ε of an action at random, or a function of the environment
        step.
      discount: Discount factor γ.
      num_steps: Number of environment steps of a step of the learner.
      initial: Initial action values.

    Raises:
      UserError: Observations or actions are no discrete numbers, or ``num_steps`` is
        below 1.

    Example:
      >>> import fdl
      >>> env = fdl.envs.from_mdp(fdl.envs.mdps.random_walk(3))
      >>> learner = td_control(
      ...     env, q_learning, step_size=0.5, epsilon=0.5, discount=1.0, num_steps=500
      ... )
      >>> state, _ = jax.jit(learner.step)(learner.init(jax.random.key(0)), None)
      >>> state.action_values[2]  # Of the middle: to the left, and to the right.
      Array([1., 1.], dtype=float32)

    References:
      Sutton and Barto, `Reinforcement Learning: An Introduction
      <http://incompleteideas.net/book/the-book-2nd.html>`_, 2018, chapter 6.
    """
    shape = sizes(env)
    check_positive(num_steps=num_steps)

    def act(action_values, observation, key, time):
        probability = epsilon_greedy(action_values[observation], rate_at(epsilon, time))
        return draw(key, probability), probability

    def init(key):
        reset_key, act_key, step_key = jax.random.split(key, 3)
        action_values = jnp.full(shape, initial, jnp.float32)
        env_state, observation = env.reset(reset_key)
        zero = jnp.zeros((), jnp.int32)
        action, _ = act(action_values, observation, act_key, zero)
        episode = init_episode_stats(1)
        return ControlState(
            zero, step_key, action_values, env_state, observation, action, episode
        )

    def advance(state, inputs):
        key, time = inputs
        step_key, act_key, reset_key, first_key = jax.random.split(key, 4)
        q, here = state.action_values, (state.observation, state.action)
        env_state, timestep = env.step(state.env, state.action, step_key)
        after = timestep.observation
        action, probability = act(q, after, act_key, time + 1)
        later = bootstrap(q[after], action, probability)
        target = timestep.reward + discount * jnp.where(timestep.terminated, 0, later)
        error = target - q[here]
        q = q.at[here].add(rate_at(step_size, time) * error)
        ended = timestep.terminated | timestep.truncated
        fresh, first = env.reset(reset_key)
        begun = fresh, first, act(q, first, first_key, time + 1)[0]
        env_state, observation, action = jax.tree.map(
            lambda x, y: jnp.where(ended, x, y), begun, (env_state, after, action)
        )
        state = state._replace(
            action_values=q, env=env_state, observation=observation, action=action
        )
        return state, (timestep.reward, ended, error)

    def step(state, batch=None):
        del batch
        keys = jax.random.split(jax.random.fold_in(state.key, state.step), num_steps)
        times = state.step * num_steps + jnp.arange(num_steps)
        state, rows = jax.lax.scan(advance, state, (keys, times))
        reward, ended, error = rows
        episode, metrics = update_episode_stats(
            state.episode, reward[:, None], ended[:, None]
        )
        state = state._replace(step=state.step + 1, episode=episode)
        return state, {"loss": mean(jnp.square(error)), **metrics}

    return Learner(init, step)
