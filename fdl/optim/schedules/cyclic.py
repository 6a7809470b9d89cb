"""Cyclical learning rate schedules: one cycle, triangular, cosine with restarts."""

import jax.numpy as jnp
import optax

from fdl.errors import UserError
from fdl.optim.schedules.step_counts import Steps, steps


def one_cycle(
    peak: float,
    num_steps: int,
    *,
    rise: Steps = 0.3,
    start: float = 0.04,
    end: float = 4e-6,
) -> optax.Schedule:
    """One-cycle schedule: cosine warmup to the peak, then cosine decay.

    It has the shape of PyTorch's ``OneCycleLR``, which reaches its peak and its end one
    step earlier: at ``rise · T − 1`` and ``T − 1`` of T steps.

    Args:
      peak: Maximum learning rate.
      num_steps: Number of steps of the run, T.
      rise: Number of steps to the peak, or their share of the run.
      start: Initial learning rate as a share of the peak, above zero.
      end: Final learning rate as a share of the peak.

    References:
      Smith and Topin, `Super-Convergence: Very Fast Training of Neural Networks Using
      Large Learning Rates <https://arxiv.org/abs/1708.07120>`_, 2017.
    """
    peak_step = min(steps(rise, num_steps, "rise"), num_steps - 1)
    if not start > 0:
        raise UserError(f"start={start}: expected a share of the peak above 0")
    phases = [
        # A decay whose final factor is above one rises. Optax refuses a decay of no
        # steps; with rise=0 this phase is never entered.
        optax.cosine_decay_schedule(start * peak, max(peak_step, 1), alpha=1 / start),
        optax.cosine_decay_schedule(peak, num_steps - peak_step, alpha=end),
    ]
    return optax.join_schedules(phases, [peak_step])


def cyclic(
    peak: float,
    num_steps: int,
    *,
    period: Steps = 0.2,
    base: float = 0.1,
    shrink: float = 1.0,
) -> optax.Schedule:
    """Triangular cyclical learning rate, as PyTorch's ``CyclicLR``.

    Args:
      peak: Maximum learning rate.
      num_steps: Number of steps of the run.
      period: Number of steps of a cycle, up and down, or their share of the run.
      base: Minimum learning rate as a share of the peak.
      shrink: Factor of the amplitude after each cycle; 0.5 is "triangular2".

    References:
      Smith, `Cyclical Learning Rates for Training Neural Networks
      <https://arxiv.org/abs/1506.01186>`_, 2015.
    """
    length = steps(period, num_steps, "period", 2)

    def schedule(count):
        cycle = jnp.floor(count / length)
        amplitude = 1 - jnp.abs(2 * (count / length - cycle) - 1)
        return peak * (base + (1 - base) * amplitude * jnp.float32(shrink) ** cycle)

    return schedule


def warm_restarts(
    peak: float,
    num_steps: int,
    *,
    period: Steps = 0.25,
    growth: float = 1.0,
    end: float = 0.0,
) -> optax.Schedule:
    """Cosine annealing with warm restarts, as ``CosineAnnealingWarmRestarts``.

    Args:
      peak: Learning rate at the beginning of each period.
      num_steps: Number of steps of the run.
      period: Number of steps of the first period, or their share of the run.
      growth: Ratio of the length of a period to that of the one before, at least 1.
      end: Learning rate at the end of each period, as a share of the peak.

    References:
      Loshchilov and Hutter, `SGDR: Stochastic Gradient Descent with Warm Restarts
      <https://arxiv.org/abs/1608.03983>`_, 2016.
    """
    if growth < 1:
        raise UserError(f"growth={growth}: expected at least 1")
    length, boundary = steps(period, num_steps, "period", 1), 0
    periods, boundaries = [], []
    while boundary < num_steps:
        periods.append(optax.cosine_decay_schedule(peak, length, alpha=end))
        boundary += length
        boundaries.append(boundary)
        length = round(length * growth)
    # The end of the last period is beyond the run, and no boundary between two.
    return optax.join_schedules(periods, boundaries[:-1])
