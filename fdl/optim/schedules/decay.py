"""Decaying learning rate schedules: step, exponential, polynomial, cosine."""

from collections.abc import Sequence

import jax.numpy as jnp
import optax

from fdl.errors import UserError
from fdl.optim.schedules.step_counts import Steps, steps


def constant(peak: float, num_steps: int) -> optax.Schedule:
    """Constant learning rate."""
    del num_steps
    return optax.constant_schedule(peak)


def linear(peak: float, num_steps: int, *, end: float = 0.0) -> optax.Schedule:
    """Linear decay from the peak to ``end`` times the peak."""
    return optax.linear_schedule(peak, end * peak, num_steps)


def step(
    peak: float,
    num_steps: int,
    *,
    boundaries: Sequence[Steps] = (0.5, 0.75),
    factor: float = 0.1,
) -> optax.Schedule:
    """Step decay: a factor at each boundary, as PyTorch's ``MultiStepLR``.

    Args:
      peak: Initial learning rate.
      num_steps: Number of steps of the run.
      boundaries: Steps at which the rate is multiplied, or their shares of the run.
      factor: Factor of the learning rate at each boundary.
    """
    first_steps = sorted(steps(x, num_steps, "boundaries", 1) for x in boundaries)

    def schedule(count):
        # Unlike a table of pieces, this allows for boundaries that are equal, as shares
        # of a short run may become.
        num_passed = sum(jnp.asarray(count >= x, jnp.float32) for x in first_steps)
        return peak * jnp.float32(factor) ** num_passed

    return schedule


def exponential(
    peak: float,
    num_steps: int,
    *,
    factor: float = 0.01,
    every: Steps | None = None,
    staircase: bool = False,
) -> optax.Schedule:
    """Exponential decay, η · factor^(t / every), as ``ExponentialLR`` and ``StepLR``.

    Args:
      peak: η, the initial learning rate.
      num_steps: Number of steps of the run.
      factor: Factor of the learning rate after each period, above 0.
      every: Number of steps of a period, or their share of the run. Default: the run.
      staircase: Whether the rate is constant within a period (``StepLR``).

    Raises:
      UserError: The factor is not above 0.
    """
    if not factor > 0:  # Of zero, optax makes a constant.
        raise UserError(f"factor={factor}: expected a number above 0")
    period = num_steps if every is None else steps(every, num_steps, "every", 1)
    return optax.exponential_decay(peak, period, factor, staircase=staircase)


def polynomial(
    peak: float, num_steps: int, *, power: float = 2.0, end: float = 0.0
) -> optax.Schedule:
    """Polynomial decay, η · (end + (1 − end)(1 − t/T)ᵖ).

    For ``end=0`` it is PyTorch's ``PolynomialLR``.

    Args:
      peak: η, the initial learning rate.
      num_steps: T, number of steps of the run.
      power: p.
      end: Final learning rate as a share of the peak.
    """
    return optax.polynomial_schedule(peak, end * peak, power, num_steps)


def cosine(peak: float, num_steps: int, *, end: float = 0.0) -> optax.Schedule:
    """Cosine decay from the peak to ``end`` times it, as ``CosineAnnealingLR``.

    Args:
      peak: Initial learning rate.
      num_steps: Number of steps of the run.
      end: Final learning rate as a share of the peak.

    References:
      Loshchilov and Hutter, `SGDR: Stochastic Gradient Descent with Warm Restarts
      <https://arxiv.org/abs/1608.03983>`_, 2016.
    """
    return optax.cosine_decay_schedule(peak, num_steps, alpha=end)
