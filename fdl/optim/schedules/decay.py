"""Learning rates that fall: functions of the steps that lie behind."""

from collections.abc import Sequence

import jax.numpy as jnp
import optax

from fdl.optim.schedules.step_counts import Steps, steps


def constant(peak: float, num_steps: int) -> optax.Schedule:
    """η all the time."""
    del num_steps
    return optax.constant_schedule(peak)


def linear(peak: float, num_steps: int, *, end: float = 0.0) -> optax.Schedule:
    """A line from the peak to ``end`` times the peak."""
    return optax.linear_schedule(peak, end * peak, num_steps)


def step(
    peak: float,
    num_steps: int,
    *,
    boundaries: Sequence[Steps] = (0.5, 0.75),
    factor: float = 0.1,
) -> optax.Schedule:
    """Times a factor at each boundary; PyTorch's ``MultiStepLR``.

    Args:
      peak: Where it begins.
      num_steps: Of the run.
      boundaries: The first steps of a new rate.
      factor: What the rate is multiplied with.
    """
    at = sorted(steps(boundary, num_steps, "boundaries") for boundary in boundaries)

    def schedule(count):
        passed = sum(jnp.asarray(count >= boundary, jnp.float32) for boundary in at)
        return peak * jnp.float32(factor) ** passed

    return schedule


def exponential(
    peak: float,
    num_steps: int,
    *,
    factor: float = 0.01,
    every: Steps | None = None,
    staircase: bool = False,
) -> optax.Schedule:
    """η · factor^(t / every); PyTorch's ``ExponentialLR``, and its ``StepLR``.

    Args:
      peak: Where it begins.
      num_steps: Of the run.
      factor: What the rate is multiplied with, each time.
      every: Steps after which it is; default: those of the run.
      staircase: Whether at once, rather than bit by bit.
    """
    period = num_steps if every is None else steps(every, num_steps, "every", 1)
    return optax.exponential_decay(peak, period, factor, staircase=staircase)


def polynomial(
    peak: float, num_steps: int, *, power: float = 2.0, end: float = 0.0
) -> optax.Schedule:
    """η · (end + (1 − end)(1 − t/T)ᵖ); PyTorch's ``PolynomialLR`` for ``end=0``."""
    return optax.polynomial_schedule(peak, end * peak, power, num_steps)


def cosine(peak: float, num_steps: int, *, end: float = 0.0) -> optax.Schedule:
    """Half a cosine from the peak to ``end`` times it; ``CosineAnnealingLR``.

    References:
      Loshchilov and Hutter, `SGDR: Stochastic Gradient Descent with Warm Restarts
      <https://arxiv.org/abs/1608.03983>`_, 2016.
    """
    return optax.cosine_decay_schedule(peak, num_steps, alpha=end)
