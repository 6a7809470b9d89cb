"""Learning rates that rise and fall: functions of the steps that lie behind."""

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
    """Up along half a cosine, and down along another.

    The shape of PyTorch's ``OneCycleLR``, which reaches its peak and its end one step
    earlier: at ``rise · T − 1`` and ``T − 1`` of T steps.

    Args:
      peak: The highest rate.
      num_steps: Of the run.
      rise: Steps up to the peak.
      start: Where it begins, as a share of the peak, above zero.
      end: Where it ends, as a share of the peak.

    References:
      Smith and Topin, `Super-Convergence: Very Fast Training of Neural Networks Using
      Large Learning Rates <https://arxiv.org/abs/1708.07120>`_, 2017.
    """
    top = min(steps(rise, num_steps, "rise"), num_steps - 1)
    if not start > 0:
        raise UserError(f"start={start}: expected a share of the peak above 0")
    ways = [
        optax.cosine_decay_schedule(start * peak, max(top, 1), alpha=1 / start),
        optax.cosine_decay_schedule(peak, num_steps - top, alpha=end),
    ]
    return optax.join_schedules(ways, [top])


def cyclic(
    peak: float,
    num_steps: int,
    *,
    period: Steps = 0.2,
    base: float = 0.1,
    shrink: float = 1.0,
) -> optax.Schedule:
    """Up and down on lines, again and again; PyTorch's ``CyclicLR``.

    Args:
      peak: The highest rate.
      num_steps: Of the run.
      period: Steps up and down again.
      base: The lowest rate, as a share of the peak.
      shrink: What the height of a cycle is multiplied with after each; 0.5 is
        "triangular2".

    References:
      Smith, `Cyclical Learning Rates for Training Neural Networks
      <https://arxiv.org/abs/1506.01186>`_, 2015.
    """
    length = steps(period, num_steps, "period", 2)

    def schedule(count):
        cycle = jnp.floor(count / length)
        height = 1 - jnp.abs(2 * (count / length - cycle) - 1)
        return peak * (base + (1 - base) * height * jnp.float32(shrink) ** cycle)

    return schedule


def warm_restarts(
    peak: float,
    num_steps: int,
    *,
    period: Steps = 0.25,
    growth: float = 1.0,
    end: float = 0.0,
) -> optax.Schedule:
    """Half cosines that begin anew; PyTorch's ``CosineAnnealingWarmRestarts``.

    Args:
      peak: Where each begins.
      num_steps: Of the run.
      period: Steps of the first.
      growth: How much longer each is than the one before.
      end: Where each ends, as a share of the peak.

    References:
      Loshchilov and Hutter, `SGDR: Stochastic Gradient Descent with Warm Restarts
      <https://arxiv.org/abs/1608.03983>`_, 2016.
    """
    if growth < 1:
        raise UserError(f"growth={growth}: expected at least 1")
    length, begun = steps(period, num_steps, "period", 1), 0
    ways, boundaries = [], []
    while begun < num_steps:
        ways.append(optax.cosine_decay_schedule(peak, length, alpha=end))
        begun += length
        boundaries.append(begun)
        length = round(length * growth)
    return optax.join_schedules(ways, boundaries[:-1])
