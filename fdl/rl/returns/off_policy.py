"""Returns of a policy from the actions of another one: V-trace and Retrace."""

from typing import NamedTuple

import jax.numpy as jnp

from fdl.rl.returns.recursion import accumulate, check, shifted
from fdl.types import Array


class VTrace(NamedTuple):
    """Estimates of V-trace.

    Attributes:
      value: Targets of the values, float [T, ...].
      advantage: Advantages for the policy gradient, weighted by ρ, float [T, ...].
    """

    value: Array
    advantage: Array


def vtrace(
    reward: Array,
    value: Array,
    next_value: Array,
    terminated: Array,
    truncated: Array,
    log_ratio: Array,
    *,
    discount: float,
    lambda_: float = 1.0,
    max_rho: float = 1.0,
    max_c: float = 1.0,
) -> VTrace:
    """V-trace: values and advantages of a policy from the actions of another one.

    ``v_t = v(s_t) + ρ_t δ_t + γ c_t (v_{t+1} - v(s_{t+1}))``, of the TD errors ``δ``
    and of ``ρ`` and ``c``, the probability ratios clipped from above. The advantage is
    ``ρ_t (r_t + γ v_{t+1} - v(s_t))``. Where both policies are the same, targets are
    λ-returns.

    Args:
      reward: Rewards, float [T, ...].
      value: Values of the observations, float [T, ...].
      next_value: Values of the next observations, before any reset, float [T, ...].
      terminated: True where the episode reached a terminal state, bool [T, ...].
      truncated: True where the episode was cut off, by a time limit say, bool [T, ...].
      log_ratio: Log-probability ratios of the actions, log π(a|s) − log μ(a|s), of the
        policy π that is evaluated and the one that acted, μ; float [T, ...].
      discount: ``γ``, the discount factor.
      lambda_: Factor of the weights ``c``.
      max_rho: Upper bound of the weights ``ρ``: with a lower one, values are those of a
        policy closer to the one that acted.
      max_c: Upper bound of the ratios in ``c``; a lower one reduces the variance.

    References:
      Espeholt et al., `IMPALA: Scalable Distributed Deep-RL with Importance Weighted
      Actor-Learner Architectures <https://arxiv.org/abs/1802.01561>`_, 2018.
    """
    check([reward, value, next_value, log_ratio], terminated, truncated)
    ended = terminated | truncated
    next_value = jnp.where(terminated, 0, next_value)
    ratio = jnp.exp(log_ratio)
    rho, c = jnp.minimum(ratio, max_rho), lambda_ * jnp.minimum(ratio, max_c)
    delta = rho * (reward + discount * next_value - value)
    correction = accumulate(delta, jnp.where(ended, 0, discount * c))
    following = shifted(correction, jnp.zeros_like(correction[0]))
    next_target = next_value + jnp.where(ended, 0, following)
    advantage = rho * (reward + discount * next_target - value)
    return VTrace(value + correction, advantage)


def retrace(
    reward: Array,
    value: Array,
    next_value: Array,
    terminated: Array,
    truncated: Array,
    log_ratio: Array,
    *,
    discount: float,
    lambda_: float = 1.0,
) -> Array:
    """Retrace(λ): targets of action values from the actions of another policy.

    ``q_t = Q(s_t, a_t) + δ_t + γ c_{t+1} (q_{t+1} - Q(s_{t+1}, a_{t+1}))``, of the TD
    errors ``δ_t = r_t + γ E_π Q(s_{t+1}, ·) - Q(s_t, a_t)`` and the clipped ratios
    ``c = λ min(1, π/μ)``.

    Args:
      reward: Rewards, float [T, ...].
      value: Values of the actions taken, Q(s, a), float [T, ...].
      next_value: Expected values of the policy's actions at the next observations,
        before any reset, E_π Q(s', ·), float [T, ...].
      terminated: True where the episode reached a terminal state, bool [T, ...].
      truncated: True where the episode was cut off, by a time limit say, bool [T, ...].
      log_ratio: Log-probability ratios of the actions, log π(a|s) − log μ(a|s), of the
        policy π that is evaluated and the one that acted, μ; float [T, ...].
      discount: ``γ``, the discount factor.
      lambda_: ``λ``; zero gives one-step targets.

    Returns:
      Targets, float [T, ...].

    References:
      Munos et al., `Safe and Efficient Off-Policy Reinforcement Learning
      <https://arxiv.org/abs/1606.02647>`_, 2016.
    """
    check([reward, value, next_value, log_ratio], terminated, truncated)
    delta = reward + discount * jnp.where(terminated, 0, next_value) - value
    c = lambda_ * jnp.minimum(jnp.exp(log_ratio), 1)
    # The trace is cut by the ratio of the next action, not of the one that is valued.
    following = shifted(c, jnp.zeros_like(c[0]))
    decay = jnp.where(terminated | truncated, 0, discount * following)
    return value + accumulate(delta, decay)
