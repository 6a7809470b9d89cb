"""Weight averaging: exponential moving averages and stochastic weight averaging."""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from optax.contrib import schedule_free_eval_params

from fdl.errors import UserError
from fdl.optim.find import find
from fdl.types import Array, Params, TrainState


class AverageState(NamedTuple):
    """State of a running average of the weights.

    Attributes:
      step: Number of updates, int32 [].
      average: Average of the weights, in float32 or wider.
    """

    step: Array
    average: Params


def exponential_average(decay: float) -> optax.GradientTransformation:
    """Exponential moving average (EMA) of the weights, with bias correction.

    āₜ = Σₛ dᵗ⁻ˢ wₛ / Σₛ dᵗ⁻ˢ over the steps s = 1 … t: the initial weights do not
    enter, so the average needs no warmup. Updates pass through unchanged. It has to be
    the last transformation of a chain, where updates are what is added to the weights.

    Args:
      decay: d in [0, 1), the decay; 0.999 averages over about 1000 steps.

    Raises:
      UserError: The decay is not in [0, 1).

    References:
      Polyak and Juditsky, `Acceleration of Stochastic Approximation by Averaging
      <https://doi.org/10.1137/0330046>`_, 1992.
    """
    if not 0 <= decay < 1:
        raise UserError(f"ema={decay}: expected a decay of at least 0 and below 1")
    log_decay = math.log(decay) if decay else -math.inf
    # The newest weights have the share (1 − d) / (1 − dᵗ). For a decay near one, both
    # differences cancel in float32; expm1 of the logarithm keeps their digits.
    return _average(
        lambda step: math.expm1(log_decay) / jnp.expm1(step * jnp.float32(log_decay))
    )


def stochastic_average(start: int, every: int = 1) -> optax.GradientTransformation:
    """Stochastic weight averaging (SWA): the mean of the weights at regular steps.

    The mean is over the weights after ``start``, ``start + every``,
    ``start + 2 every``, … updates. Before ``start`` it equals the current weights.
    Updates pass through unchanged. It has to be the last transformation of a chain.

    Args:
      start: First step whose weights enter the mean, at least 1.
      every: Number of steps between two sets of weights in the mean, at least 1.

    Raises:
      UserError: ``start`` or ``every`` is below 1.

    References:
      Izmailov et al., `Averaging Weights Leads to Wider Optima and Better
      Generalization <https://arxiv.org/abs/1803.05407>`_, 2018.
    """
    if start < 1:
        raise UserError(f"swa={start}: expected at least 1")
    if every < 1:
        raise UserError(f"swa_every={every}: expected at least 1")

    def share(step):
        num_averaged = (step - start) // every + 1
        is_averaged = (step - start) % every == 0
        # A share of one replaces the average by the current weights.
        return jnp.where(
            step <= start, 1.0, jnp.where(is_averaged, 1 / num_averaged, 0.0)
        )

    return _average(share)


def averaged(state: TrainState) -> TrainState:
    """Train state whose parameters are replaced by their average, if there is one.

    The average is that of ``ema`` or ``swa`` of `chain`, or that of a schedule-free
    optimizer. Frozen parameters and all other variables keep their values: the
    statistics of batch normalisation remain those of the last steps.
    """
    params, average_state = state.params, find(state.opt_state, AverageState)
    if average_state is not None:
        # Frozen parameters are masked in the average, and come from the state itself.
        average = merge(average_state.average, params)
        return state._replace(params=optax.tree.cast_like(average, params))
    schedule_free = find(state.opt_state, optax.contrib.ScheduleFreeState)
    if schedule_free is not None:
        # Gradients are taken at y, an interpolation of the average x and the iterate
        # z; optax solves for x, of the parameters that the optimizer was shown.
        trainable = split(params, schedule_free.z)
        average = schedule_free_eval_params(schedule_free, trainable)
        return state._replace(params=merge(average, params))
    return state


def split(whole: Params, like: Params) -> Params:
    """Parameters with those masked that are masked in another tree.

    Args:
      whole: All parameters.
      like: A tree of the same structure, with `optax.MaskedNode` in place of some.
    """
    return jax.tree.map(
        lambda part, x: part if _masked(part) else x, like, whole, is_leaf=_masked
    )


def merge(part: Params, whole: Params) -> Params:
    """Parameters of a masked tree, its masked leaves filled in from a full tree.

    Args:
      part: A tree with `optax.MaskedNode` in place of some parameters.
      whole: All parameters.
    """
    return jax.tree.map(
        lambda part, x: x if _masked(part) else part, part, whole, is_leaf=_masked
    )


def _masked(x) -> bool:
    return isinstance(x, optax.MaskedNode)


def _average(share: Callable[[Array], Array]) -> optax.GradientTransformation:
    """Running average a ← a + s (w − a) with a share s that depends on the step."""

    def init(params):
        # Copies, because weights and average are both donated to the step and may not
        # share a buffer. In half precision, a small share would round to no change.
        return AverageState(
            jnp.zeros((), jnp.int32),
            jax.tree.map(
                lambda x: jnp.array(x, jnp.promote_types(x.dtype, jnp.float32)), params
            ),
        )

    def update(updates, state, params=None):
        if params is None:
            raise UserError("params=None: expected the parameters, to average them")
        step = state.step + 1
        new_params = optax.apply_updates(params, updates)
        new_share = share(step)
        average = jax.tree.map(
            lambda old, x: old + new_share * (x.astype(old.dtype) - old),
            state.average,
            new_params,
        )
        return updates, AverageState(step, average)

    return optax.GradientTransformation(init, update)
