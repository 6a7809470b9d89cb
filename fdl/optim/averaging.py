"""Averages of the variables over training: moving averages and stochastic averaging."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fdl.errors import UserError
from fdl.types import Array, AverageState, Variables

AVERAGED = "params", "batch_stats"  # The collections that are averaged.


class Average(NamedTuple):
    """Running average of parameters and batch statistics, as two pure functions.

    Attributes:
      init: ``init(variables) -> state``.
      update: ``update(state, variables) -> state``, after each training step.
      refresh: True if batch statistics are to be computed anew for the averaged
        parameters, rather than averaged with them; see `refresh_statistics`.
    """

    init: Callable[[Variables], AverageState]
    update: Callable[[AverageState, Variables], AverageState]
    refresh: bool = False


def exponential_average(decay: float) -> Average:
    """Exponential moving average (EMA) of the variables, with bias correction.

    āₜ = Σₛ dᵗ⁻ˢ wₛ / Σₛ dᵗ⁻ˢ over the steps s = 1 … t: the initial values do not enter,
    so the average needs no warmup. Batch statistics are averaged with the weights.

    Args:
      decay: d in [0, 1), the decay; 0.999 averages over about 1000 steps.

    Raises:
      UserError: The decay is not in [0, 1).

    References:
      Polyak and Juditsky, `Acceleration of Stochastic Approximation by Averaging
      <https://doi.org/10.1137/0330046>`_, 1992.
    """
    traced = isinstance(decay, jax.core.Tracer)  # By `fdl.inject_hyperparameters`.
    if not traced and not 0 <= decay < 1:
        raise UserError(f"ema={decay}: expected a decay of at least 0 and below 1")
    numpy: Any = jnp if traced else np
    # The newest values have the share (1 − d) / (1 − dᵗ). For a decay near one, both
    # differences cancel in float32; expm1 of the logarithm keeps their digits.
    with np.errstate(divide="ignore"):
        log_decay = numpy.log(decay)
    newest = numpy.expm1(log_decay)
    return _average(
        lambda step: jnp.float32(newest) / jnp.expm1(step * jnp.float32(log_decay))
    )


def stochastic_average(start: int, every: int = 1) -> Average:
    """Stochastic weight averaging (SWA): the mean of the weights at regular steps.

    The mean is over the weights after ``start``, ``start + every``,
    ``start + 2 every``, … steps. Before ``start`` it equals the current weights. Batch
    statistics are to be computed anew for the mean.

    Args:
      start: First step whose weights enter the mean, at least 1.
      every: Number of steps between two sets of weights in the mean, at least 1.

    Raises:
      UserError: ``start`` or ``every`` is below 1.

    References:
      Izmailov et al., `Averaging Weights Leads to Wider Optima and Better
      Generalization <https://arxiv.org/abs/1803.05407>`_, 2018.
    """
    for name, value in (("swa", start), ("swa_every", every)):
        if value < 1:
            raise UserError(f"{name}={value}: expected at least 1")

    def share(step):
        num_averaged = (step - start) // every + 1
        is_averaged = (step - start) % every == 0
        # A share of one replaces the average by the current weights.
        return jnp.where(
            step <= start, 1.0, jnp.where(is_averaged, 1 / num_averaged, 0.0)
        )

    return _average(share)._replace(refresh=True)


def _average(share: Callable[[Array], Array]) -> Average:
    """Running average a ← a + s (w − a) with a share s that depends on the step."""

    def init(variables):
        # Copies, because variables and average are both donated to the step and may not
        # share a buffer. In half precision, a small share would round to no change.
        copies = jax.tree.map(
            lambda x: jnp.array(x, jnp.promote_types(x.dtype, jnp.float32)),
            {name: variables[name] for name in AVERAGED if name in variables},
        )
        return AverageState(jnp.zeros((), jnp.int32), copies)

    def update(state, variables):
        num_updates = state.num_updates + 1
        new_share = share(num_updates)
        averaged = jax.tree.map(
            lambda old, x: old + new_share * (x.astype(old.dtype) - old),
            state.variables,
            {name: variables[name] for name in state.variables},
        )
        return AverageState(num_updates, averaged)

    return Average(init, update)
