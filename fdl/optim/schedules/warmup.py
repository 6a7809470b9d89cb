"""Learning rate schedules with a warmup."""

import jax.numpy as jnp
import optax

from fdl.errors import UserError
from fdl.optim.schedules.step_counts import Steps, steps


def inverse_sqrt(peak: float, num_steps: int, *, warmup: Steps = 0.1) -> optax.Schedule:
    """Inverse square root schedule of the Transformer ("Noam").

    η · min(s/w, √(w/s)) at step s = 1, 2, …; with the peak of `noam_peak` it is
    d^-½ · min(s^-½, s · w^-3/2) of Vaswani et al.

    Args:
      peak: η, the maximum learning rate, at step w.
      num_steps: Number of steps of the run.
      warmup: w, number of steps to the peak, or their share of the run.

    References:
      Vaswani et al., `Attention Is All You Need <https://arxiv.org/abs/1706.03762>`_,
      2017, section 5.3.
    """
    num_warmup = steps(warmup, num_steps, "warmup", 1)

    def schedule(count):
        # The paper counts steps from one, and optax from zero.
        step = jnp.asarray(count + 1, jnp.float32)
        return peak * jnp.minimum(step / num_warmup, jnp.sqrt(num_warmup / step))

    return schedule


def noam_peak(size: int, warmup: int) -> float:
    """Peak of the Transformer's learning rate, (d · w)^-½.

    Args:
      size: d, the size of its embeddings.
      warmup: w, number of steps to the peak.

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
    """Warmup-stable-decay (WSD) schedule, also called trapezoidal.

    Linear warmup from zero, constant learning rate, linear decay.

    Args:
      peak: Maximum learning rate.
      num_steps: Number of steps of the run.
      warmup: Number of steps of the warmup, or their share of the run.
      decay: Number of steps of the decay at the end, or their share of the run.
      end: Final learning rate as a share of the peak.

    Raises:
      UserError: Warmup and decay together are longer than the run.

    References:
      Hu et al., `MiniCPM <https://arxiv.org/abs/2404.06395>`_, 2024.
    """
    num_warmup, num_decay = (
        steps(value, num_steps, key)
        for value, key in ((warmup, "warmup"), (decay, "decay"))
    )
    if num_warmup + num_decay > num_steps:
        raise UserError(
            f"warmup={num_warmup} and decay={num_decay}: expected no more than "
            f"num_steps={num_steps} together"
        )
    phases = [
        # Optax logs a warning of a line of zero steps; no step is in such a phase.
        optax.linear_schedule(0.0, peak, max(num_warmup, 1)),
        optax.constant_schedule(peak),
        optax.linear_schedule(peak, end * peak, max(num_decay, 1)),
    ]
    return optax.join_schedules(phases, [num_warmup, num_steps - num_decay])


def with_warmup(after: optax.Schedule, peak: float, warmup: int) -> optax.Schedule:
    """Schedule with a linear warmup from zero to the peak before it.

    Args:
      after: Schedule after the warmup; its steps are counted from there.
      peak: Learning rate at the end of the warmup.
      warmup: Number of steps of the warmup; zero for none.
    """
    if not warmup:
        return after
    rise = optax.linear_schedule(0.0, peak, warmup)
    return optax.join_schedules([rise, after], [warmup])
