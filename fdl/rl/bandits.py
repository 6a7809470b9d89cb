"""Bandit algorithms: which arm to pull, by what the arms have paid."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from fdl.envs.mdp import draw
from fdl.errors import UserError
from fdl.rl.tabular.tables import epsilon_greedy as epsilon_greedy_probability
from fdl.rl.tabular.tables import sizes
from fdl.types import Array, Env, Key, PyTree


class Bandit(NamedTuple):
    """Bandit algorithm, as pure functions.

    Attributes:
      init: ``init(num_arms) -> state``.
      probability: ``probability(state)``, the probability of pulling each arm, [A].
      update: ``update(state, action, reward) -> state``.
    """

    init: Callable[[int], PyTree]
    probability: Callable[[PyTree], Array]
    update: Callable[[PyTree, Array, Array], PyTree]


class Estimates(NamedTuple):
    """Estimated values of arms.

    Attributes:
      values: Estimated mean reward of each arm, float [A].
      counts: Number of pulls of each arm, int32 [A].
    """

    values: Array
    counts: Array


class Preferences(NamedTuple):
    """Preferences of a gradient bandit.

    Attributes:
      logits: Preference of each arm, float [A].
      baseline: Mean of all rewards, float [].
      num_pulls: Number of pulls, int32 [].
    """

    logits: Array
    baseline: Array
    num_pulls: Array


def epsilon_greedy(
    epsilon: float, *, step_size: float | None = None, initial: float = 0.0
) -> Bandit:
    """ε-greedy bandit: the arm that seems best, or with probability ε any of them.

    Args:
      epsilon: Probability of an arm at random.
      step_size: Step size of the estimates; None for the mean of all rewards.
      initial: Initial estimate; above all true ones, it makes the greedy bandit try all
        arms (optimistic initial values).

    Raises:
      UserError: ``epsilon`` is no probability.
    """
    if not 0 <= epsilon <= 1:
        raise UserError(f"epsilon={epsilon}: expected a probability")

    def probability(state):
        return epsilon_greedy_probability(state.values, epsilon)

    return Bandit(_initial(initial), probability, _update(step_size))


def ucb(c: float, *, step_size: float | None = None, initial: float = 0.0) -> Bandit:
    """Upper-confidence-bound (UCB) bandit: the arm that might be the best one.

    It pulls the arm of the largest ``Q(a) + c √(ln t / N(a))``, where ``t`` is the
    number of the pull; first each arm once.

    Args:
      c: Width of the confidence bound.
      step_size: Step size of the estimates; None for the mean of all rewards.
      initial: Initial estimate.

    References:
      Auer, Cesa-Bianchi and Fischer, `Finite-time Analysis of the Multiarmed Bandit
      Problem <https://doi.org/10.1023/A:1013689704352>`_, 2002.
    """

    def probability(state):
        time = state.counts.sum() + 1
        counts = jnp.maximum(state.counts, 1)
        bound = state.values + c * jnp.sqrt(jnp.log(time) / counts)
        bound = jnp.where(state.counts == 0, jnp.inf, bound)
        return epsilon_greedy_probability(bound, 0.0)

    return Bandit(_initial(initial), probability, _update(step_size))


def gradient(step_size: float, *, baseline: bool = True) -> Bandit:
    """Gradient bandit: stochastic gradient ascent on the expected reward.

    Its policy is the softmax of preferences ``H``, which change by
    ``α (r - b) (1{a} - π)``, with the mean ``b`` of all rewards so far as a baseline.

    Args:
      step_size: Step size α.
      baseline: Whether there is a baseline; without, ``b`` is zero.

    References:
      Sutton and Barto, `Reinforcement Learning: An Introduction
      <http://incompleteideas.net/book/the-book-2nd.html>`_, 2018, section 2.8.
    """

    def init(num_arms):
        return Preferences(jnp.zeros(num_arms), jnp.zeros(()), jnp.zeros((), jnp.int32))

    def probability(state):
        return jax.nn.softmax(state.logits)

    def update(state, action, reward):
        count = state.num_pulls + 1
        # The mean has the present reward in it, as in the book's figure.
        mean = state.baseline + (reward - state.baseline) / count
        advantage = reward - (mean if baseline else 0)
        chosen = jax.nn.one_hot(action, len(state.logits))
        change = step_size * advantage * (chosen - probability(state))
        return Preferences(state.logits + change, mean, count)

    return Bandit(init, probability, update)


def pull(env: Env, bandit: Bandit, key: Key, num_steps: int) -> tuple[Array, Array]:
    """Rewards of a bandit algorithm, and where it pulled the best arm.

    Args:
      env: Environment of `fdl.envs.bandit`.
      bandit: Algorithm, such as ``epsilon_greedy(0.1)``.
      key: Key of the arms, of the pulls and of the rewards.
      num_steps: Number of pulls, T.

    Returns:
      Rewards, float [T], and whether the arm is the one with the highest mean, bool
      [T].

    Example:
      >>> from fdl import envs
      >>> key = jax.random.key(0)
      >>> rewards, best = pull(envs.bandit(3), epsilon_greedy(0.1), key, 5)
      >>> rewards.shape, best.dtype
      ((5,), dtype('bool'))
    """
    _, num_arms = sizes(env)
    reset_key, pull_key = jax.random.split(key)
    arms, _ = env.reset(reset_key)

    def step(state, key):
        act_key, step_key = jax.random.split(key)
        action = draw(act_key, bandit.probability(state))
        _, timestep = env.step(arms, action, step_key)
        state = bandit.update(state, action, timestep.reward)
        return state, (timestep.reward, action == arms.means.argmax())

    keys = jax.random.split(pull_key, num_steps)
    return jax.lax.scan(step, bandit.init(num_arms), keys)[1]


def _initial(value: float) -> Callable[[int], Estimates]:
    def init(num_arms):
        return Estimates(jnp.full(num_arms, value), jnp.zeros(num_arms, jnp.int32))

    return init


def _update(step_size: float | None) -> Callable[[Estimates, Array, Array], Estimates]:
    def update(state, action, reward):
        counts = state.counts.at[action].add(1)
        rate = 1 / counts[action] if step_size is None else step_size
        change = rate * (reward - state.values[action])
        return Estimates(state.values.at[action].add(change), counts)

    return update
