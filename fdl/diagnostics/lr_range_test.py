"""Learning rate range test."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fdl.errors import UserError, near
from fdl.types import Array, Batch, Learner, Metrics, TrainState

DIVERGENCE_FACTOR = 4.0  # Of the running mean of the loss, relative to its minimum.
EMA_DECAY = 0.9  # Of that running mean.
SMOOTHING_WIDTH = 0.04  # Standard deviation of the Gaussian, as a share of all rates.


class LRRangeTest(NamedTuple):
    """Result of a learning rate range test.

    Attributes:
      rates: Learning rates in ascending order, float [N].
      losses: Loss before the step at each rate, float [N].
      smoothed: Losses smoothed by a Gaussian kernel, float [N]. Unlike a running mean,
        a symmetric kernel does not shift the curve to higher rates.
      diverged: True if the test ended early, because the loss rose or was not finite.
    """

    rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray
    diverged: bool

    @property
    def rate_at_minimum(self) -> float:
        """Rate at the minimum of the smoothed loss."""
        return float(self.rates[np.argmin(self.smoothed)])

    @property
    def suggested_rate(self) -> float:
        """Tenth of the rate at the minimum, where the loss is about to rise.

        It is meant for the peak of a schedule. The rule is Howard's and Gugger's; see
        `lr_range_test`.
        """
        return self.rate_at_minimum / 10

    @property
    def rate_at_steepest(self) -> float:
        """Rate of steepest descent of the smoothed loss over the log of the rate.

        Only rates count from which on a tenth of the total decrease is behind, so that
        noise on the flat beginning is not taken for the steepest descent.
        """
        end = int(np.argmin(self.smoothed)) + 1
        falling = self.smoothed[:end]
        # np.gradient needs two points; with fewer than three there is no curve yet.
        slope = np.gradient(falling, np.log(self.rates[:end])) if end > 2 else -falling
        has_decreased = falling <= falling.max() - 0.1 * np.ptp(falling)
        last_before = np.flatnonzero(~has_decreased)[-1:]
        slope[: int(last_before[0]) + 1 if last_before.size else 0] = np.inf
        return float(self.rates[np.argmin(slope)])

    @property
    def loss_decreased(self) -> bool:
        """True if the smoothed loss decreased by 5% or more."""
        return bool(self.smoothed.min() < 0.95 * self.smoothed[0])


def lr_range_test(
    learner: Learner,
    state: TrainState,
    batches: Iterator[Batch],
    *,
    configured: float | None = None,
    start: float = 1e-6,
    end: float = 10.0,
    num_steps: int = 100,
) -> LRRangeTest:
    """Learning rate range test of Smith: trains with an exponentially increasing rate.

    The test ends when the loss diverges. Each update of the learner is multiplied by
    the rate to test over the rate at which the learner computed it: the metric
    ``learning_rate``, which optimizers of `optim.chain` have, whatever their schedule;
    or else ``configured``. An update at a rate of zero stays zero. This is exact where
    the update is proportional to the rate, as in SGD, Adam and all others that multiply
    by it at the end, with weight decay and per-layer rates; it is not exact for L-BFGS,
    schedule-free optimizers and max-norm constraints.

    Args:
      learner: Learner with a `TrainState` and a metric ``loss``.
      state: State to start from.
      batches: Batches, at least ``num_steps``.
      configured: Learning rate of the learner, where it has no such metric.
      start: Lowest rate.
      end: Highest rate.
      num_steps: Number of rates.

    Raises:
      UserError: The learner has no metric ``loss``, or its rate is not known.

    References:
      Smith, `Cyclical Learning Rates for Training Neural Networks
      <https://arxiv.org/abs/1506.01186>`_, 2015, section 3.3.

      Howard and Gugger, `Deep Learning for Coders with fastai and PyTorch
      <https://github.com/fastai/fastbook>`_, 2020, chapter 5 (the suggested rate).
    """
    rates = start * (end / start) ** (np.arange(num_steps) / max(1, num_steps - 1))
    step = jax.jit(step_at_rate(learner, configured))
    losses: list[float] = []
    mean = least = first = np.nan
    for n, (rate, batch) in enumerate(zip(rates, batches, strict=False), start=1):
        state, metrics = step(state, batch, np.float32(rate))
        losses.append(float(metrics["loss"].compute()))
        mean = losses[0] if n == 1 else EMA_DECAY * mean + (1 - EMA_DECAY) * losses[-1]
        first, least = losses[0], np.fmin(least, mean)
        # A multiple of the minimum is no bound for losses that are negative or near
        # zero, hence the second bound. The negation also holds for NaN.
        if not mean <= max(DIVERGENCE_FACTOR * least, first + abs(first)):
            break
    diverged = len(losses) < num_steps or not np.isfinite(losses[-1])
    losses = losses if np.isfinite(losses[-1]) else losses[:-1]
    measured = np.array(losses)
    return LRRangeTest(
        rates[: len(measured)], measured, smooth(measured, num_steps), diverged
    )


def smooth(losses: np.ndarray, num_steps: int) -> np.ndarray:
    """Gaussian smoothing of losses over the log of the learning rate.

    Losses are clipped to twice the first one, since a diverging loss would dominate the
    means before it.

    Args:
      losses: Losses, float [N].
      num_steps: Number of steps of a full test, to which the width of the kernel is
        relative.

    Returns:
      Smoothed losses, float [N].
    """
    if not losses.size:
        return losses
    # abs, so that the bound lies above a negative first loss.
    clipped = np.minimum(losses, losses[0] + abs(losses[0]))
    positions = np.arange(len(losses)) / (SMOOTHING_WIDTH * num_steps)
    weights = np.exp(-0.5 * (positions[:, None] - positions) ** 2)
    return weights @ clipped / weights.sum(axis=1)


def step_at_rate(
    learner: Learner, configured: float | None = None
) -> Callable[[TrainState, Batch, Array], tuple[TrainState, Metrics]]:
    """Step of a learner at a given learning rate, ``step(state, batch, rate)``.

    Args:
      learner: Learner with a `TrainState` and a metric ``loss``.
      configured: Learning rate of the learner, where it has no such metric; see
        `lr_range_test`.

    Raises:
      UserError: The learner has no metric ``loss``, or its rate is not known; raised
        when the step is traced.
    """

    def step(state: TrainState, batch: Batch, rate: Array):
        after, metrics = learner.step(state, batch)
        if "loss" not in metrics:
            raise UserError(
                f"metrics={[*metrics]}: expected 'loss' among them. "
                f"{near('loss', metrics)}"
            )
        if "learning_rate" in metrics:
            own_rate = metrics["learning_rate"].compute()
        elif configured is not None:
            own_rate = jnp.asarray(configured, jnp.float32)
        else:
            raise UserError(
                "configured=None: expected the learning rate of the learner, which has "
                "no metric 'learning_rate'"
            )
        # A warm-up from zero starts with a rate, and an update, of zero.
        factor = jnp.where(own_rate > 0, rate / own_rate, 0)
        params = jax.tree.map(
            lambda old, new: old + (factor * (new - old)).astype(old.dtype),
            state.params,
            after.params,
        )
        return after._replace(params=params), metrics

    return step
