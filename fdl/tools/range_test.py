"""The learning rate range test."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fdl.errors import UserError, near
from fdl.types import Array, Batch, Learner, Metrics, TrainState

DIVERGED = 4.0  # Times the least loss so far.
MEMORY = 0.9  # Share of the past in the running mean that tells of divergence.
WIDTH = 0.04  # Of the smoothing, as a share of all rates.


class RangeTest(NamedTuple):
    """What came of it.

    Attributes:
      rates: Learning rates, rising, [N].
      losses: The loss before the step with each, [N].
      smoothed: The same, smoothed: the mean of those around, weighed by a Gaussian, so
        that it lags neither behind nor ahead.
      diverged: Whether it ended because the loss rose, or was not finite.
    """

    rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray
    diverged: bool

    @property
    def lowest(self) -> float:
        """The rate at which the smoothed loss was least."""
        return float(self.rates[np.argmin(self.smoothed)])

    @property
    def tenth(self) -> float:
        """A tenth of that: at the lowest point the loss is about to rise."""
        return self.lowest / 10

    @property
    def steepest(self) -> float:
        """The rate at which the smoothed loss fell fastest, over the log of the rate.

        Of those at which it has fallen by a tenth of its fall, so that no noise on the
        flat beginning is taken for it.
        """
        end = int(np.argmin(self.smoothed)) + 1
        falling = self.smoothed[:end]
        slope = np.gradient(falling, np.log(self.rates[:end])) if end > 2 else -falling
        begun = falling <= falling.max() - 0.1 * np.ptp(falling)
        last_before = np.flatnonzero(~begun)[-1:]
        slope[: int(last_before[0]) + 1 if last_before.size else 0] = np.inf
        return float(self.rates[np.argmin(slope)])

    @property
    def fell(self) -> bool:
        """Whether the smoothed loss ever came down by a twentieth."""
        return bool(self.smoothed.min() < 0.95 * self.smoothed[0])


def range_test(
    learner: Learner,
    state: TrainState,
    batches: Iterator[Batch],
    *,
    configured: float | None = None,
    start: float = 1e-6,
    end: float = 10.0,
    num_steps: int = 100,
) -> RangeTest:
    """Trains with a learning rate that rises exponentially, until the loss diverges.

    A step of the learner is made, and what it adds to the parameters is multiplied by
    the rate to try over the rate that the step was made with: that of the metric
    ``learning_rate``, which optimizers of `optim.chain` have, whatever their schedule;
    or else ``configured``. A step of a rate of zero moves nothing. This is exact where
    the update is proportional to the rate, as those of SGD, Adam and all others that
    multiply by it at the end, with weight decay and per-layer rates; it is not for
    L-BFGS, schedule-free optimizers and norms that are limited.

    Args:
      learner: What learns, on a `TrainState`, with a metric ``loss``.
      state: Where to begin.
      batches: At least ``num_steps``.
      configured: The rate that the learner has, where it does not say.
      start: The first rate.
      end: The last.
      num_steps: How many rates to try.

    Raises:
      UserError: There is no loss, or no way to know the learner's rate.

    References:
      Smith, `Cyclical Learning Rates for Training Neural Networks
      <https://arxiv.org/abs/1506.01186>`_, 2015, section 3.3.
    """
    rates = start * (end / start) ** (np.arange(num_steps) / max(1, num_steps - 1))
    step = jax.jit(at_rate(learner, configured))
    losses: list[float] = []
    mean = least = first = np.nan
    for n, (rate, batch) in enumerate(zip(rates, batches, strict=False), start=1):
        state, metrics = step(state, batch, np.float32(rate))
        losses.append(float(metrics["loss"].compute()))
        mean = losses[0] if n == 1 else MEMORY * mean + (1 - MEMORY) * losses[-1]
        first, least = losses[0], np.fmin(least, mean)
        # Losses may be negative.
        if not mean <= max(DIVERGED * least, first + abs(first)):
            break
    diverged = len(losses) < num_steps or not np.isfinite(losses[-1])
    losses = losses if np.isfinite(losses[-1]) else losses[:-1]
    tried = np.array(losses)
    return RangeTest(rates[: len(tried)], tried, smooth(tried, num_steps), diverged)


def smooth(losses: np.ndarray, num_steps: int) -> np.ndarray:
    """A mean of the losses around each, weighed by a Gaussian of their distance.

    Losses of more than twice the first count as that: one that diverges would hide all
    before it.

    Args:
      losses: Float [N].
      num_steps: How many there should have been, which decides how wide it is.
    """
    if not losses.size:
        return losses
    capped = np.minimum(losses, losses[0] + abs(losses[0]))
    place = np.arange(len(losses)) / (WIDTH * num_steps)
    weights = np.exp(-0.5 * (place[:, None] - place) ** 2)
    return weights @ capped / weights.sum(axis=1)


def at_rate(
    learner: Learner, configured: float | None = None
) -> Callable[[TrainState, Batch, Array], tuple[TrainState, Metrics]]:
    """A learner's step with another learning rate: ``step(state, batch, rate)``.

    Args:
      learner: What learns.
      configured: The rate that it has, where it does not say; see `range_test`.

    Raises:
      UserError: There is no loss, or no rate; when the step is traced.
    """

    def step(state: TrainState, batch: Batch, rate: Array):
        after, metrics = learner.step(state, batch)
        if "loss" not in metrics:
            raise UserError(f"there is no metric 'loss'. {near('loss', metrics)}")
        if "learning_rate" in metrics:
            made_with = metrics["learning_rate"].compute()
        elif configured is not None:
            made_with = jnp.asarray(configured, jnp.float32)
        else:
            raise UserError("the learning rate of this learner is not known")
        factor = jnp.where(made_with > 0, rate / made_with, 0)
        params = jax.tree.map(
            lambda old, new: old + (factor * (new - old)).astype(old.dtype),
            state.params,
            after.params,
        )
        return after._replace(params=params), metrics

    return step
