"""Averages of the weights, and states in which they stand for them."""

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
    """The average so far.

    Attributes:
      step: Number of updates, int32 [].
      average: Of the weights.
    """

    step: Array
    average: Params


def exponential_average(decay: float) -> optax.GradientTransformation:
    """Keeps a moving average of the weights after each update, and changes nothing.

    āₜ = Σₛ dᵗ⁻ˢ wₛ / Σₛ dᵗ⁻ˢ over the steps s = 1 … t: the weights before the first
    step do not count, so that the average needs no warmup. It has to be the last of a
    chain, where updates are what is added to the weights.

    Args:
      decay: d, the share of the old average; 0.999 looks back about 1000 steps.

    Raises:
      UserError: The decay is not in [0, 1).

    References:
      Polyak and Juditsky, `Acceleration of Stochastic Approximation by Averaging
      <https://doi.org/10.1137/0330046>`_, 1992.
    """
    if not 0 <= decay < 1:
        raise UserError(f"ema={decay}: expected a decay of at least 0 and below 1")
    log_decay = math.log(decay) if decay else -math.inf
    return _average(
        lambda step: math.expm1(log_decay) / jnp.expm1(step * jnp.float32(log_decay))
    )


def stochastic_average(start: int, every: int = 1) -> optax.GradientTransformation:
    """Keeps the mean of the weights at some steps, and changes nothing.

    They are those after ``start``, ``start + every``, ``start + 2 every``, … updates.
    Until then, the weights themselves stand for the mean. It has to be the last of a
    chain.

    Args:
      start: The first step whose weights count.
      every: Steps from one to the next.

    Raises:
      UserError: These are no steps.

    References:
      Izmailov et al., `Averaging Weights Leads to Wider Optima and Better
      Generalization <https://arxiv.org/abs/1803.05407>`_, 2018.
    """
    if start < 1 or every < 1:
        raise UserError(f"swa: start={start}, every={every}: expected at least 1")

    def share(step):
        visited = (step - start) // every + 1
        counts = (step - start) % every == 0
        return jnp.where(step <= start, 1.0, jnp.where(counts, 1 / visited, 0.0))

    return _average(share)


def averaged(state: TrainState) -> TrainState:
    """The state with the weights that are to be used: their average, if there is one.

    That is the average that `chain` was asked for, or that of a schedule-free
    optimizer; what is frozen is as it is, and so is all that is no weight: the
    statistics of batch norms remain those of the last steps.
    """
    params, part = state.params, find(state.opt_state, AverageState)
    if part is not None:
        average = merge(part.average, params)
        return state._replace(params=optax.tree.cast_like(average, params))
    free = find(state.opt_state, optax.contrib.ScheduleFreeState)
    if free is not None:
        learnt = split(params, free.z)
        return state._replace(
            params=merge(schedule_free_eval_params(free, learnt), params)
        )
    return state


def split(whole: Params, like: Params) -> Params:
    """The parameters, without those that are masked in another tree."""
    return jax.tree.map(
        lambda part, x: part if _masked(part) else x, like, whole, is_leaf=_masked
    )


def merge(part: Params, whole: Params) -> Params:
    """A part of the parameters, with those that it lacks from the whole."""
    return jax.tree.map(
        lambda part, x: x if _masked(part) else part, part, whole, is_leaf=_masked
    )


def _masked(x) -> bool:
    return isinstance(x, optax.MaskedNode)


def _average(share: Callable[[Array], Array]) -> optax.GradientTransformation:
    """A running average in which the weights after a step have a share."""

    def init(params):
        # Copies, for weights and averages are both donated. In low precision, a small
        # share would be lost.
        return AverageState(
            jnp.zeros((), jnp.int32),
            jax.tree.map(
                lambda x: jnp.array(x, jnp.promote_types(x.dtype, jnp.float32)), params
            ),
        )

    def update(updates, state, params=None):
        if params is None:
            raise ValueError("the average is of the parameters, so update needs them")
        step = state.step + 1
        after = optax.apply_updates(params, updates)
        new = share(step)
        average = jax.tree.map(
            lambda old, x: old + new * (x.astype(old.dtype) - old), state.average, after
        )
        return updates, AverageState(step, average)

    return optax.GradientTransformation(init, update)
