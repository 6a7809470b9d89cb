"""Learning rates that begin small: functions of the steps that lie behind."""

import jax.numpy as jnp
import optax

from fdl.errors import UserError
from fdl.optim.schedules.step_counts import Steps, steps


def inverse_sqrt(peak: float, num_steps: int, *, warmup: Steps = 0.1) -> optax.Schedule:
    """The Transformer's: η · min(s/w, √(w/s)) at step s = 1, 2, …, "Noam".

    Vaswani's d^-½ · min(s^-½, s · w^-3/2) is that with the peak of `noam_peak`.

    Args:
      peak: The highest rate, at step w.
      num_steps: Of the run.
      warmup: w, steps up to the peak.

    References:
      Vaswani et al., `Attention Is All You Need <https://arxiv.org/abs/1706.03762>`_,
      2017, section 5.3.
    """
    width = steps(warmup, num_steps, "warmup", 1)

    def schedule(count):
        now = jnp.asarray(count + 1, jnp.float32)
        return peak * jnp.minimum(now / width, jnp.sqrt(width / now))

    return schedule


def noam_peak(size: int, warmup: int) -> float:
    """The peak of the Transformer's learning rate, (d · w)^-½.

    Args:
      size: d, of its tokens.
      warmup: w, steps up to the peak.

    Example:
      >>> noam_peak(512, 4000)
      0.000698771
    """
    return (size * warmup) ** -0.5


def warmup_stable_decay(
    peak: float,
    num_steps: int,
    *,
    warmup: Steps = 0.05,
    decay: Steps = 0.2,
    end: float = 0.0,
) -> optax.Schedule:
    """Up on a line, constant, and down on a line.

    Args:
      peak: The highest rate.
      num_steps: Of the run.
      warmup: Steps up, from zero.
      decay: Steps down, the last of the run.
      end: Where it ends, as a share of the peak.

    References:
      Hu et al., `MiniCPM <https://arxiv.org/abs/2404.06395>`_, 2024.
    """
    up, down = (
        steps(value, num_steps, key)
        for value, key in ((warmup, "warmup"), (decay, "decay"))
    )
    if up + down > num_steps:
        raise UserError(
            f"warmup={up} and decay={down} are more than num_steps={num_steps}"
        )
    ways = [
        optax.linear_schedule(0.0, peak, max(up, 1)),
        optax.constant_schedule(peak),
        optax.linear_schedule(peak, end * peak, max(down, 1)),
    ]
    return optax.join_schedules(ways, [up, num_steps - down])


def with_warmup(after: optax.Schedule, peak: float, warmup: int) -> optax.Schedule:
    """A line from zero to the peak, and then what comes after it."""
    if not warmup:
        return after
    up = optax.linear_schedule(0.0, peak, warmup)
    return optax.join_schedules([up, after], [warmup])
