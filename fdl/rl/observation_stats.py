"""Observation normalisation by running statistics, a collection of the variables."""

from collections.abc import Mapping

import jax.numpy as jnp

from fdl.types import Array, Model, PyTree, Spec

# Collection with the `count`, float [], and the `mean` and variance `var` of each
# element of an observation.
OBSERVATION_STATS = "observation_stats"


def normalize_observations(
    model: Model, observation: Spec, *, clip: float = 10.0
) -> Model:
    """Model of observations that are standardised by their running statistics.

    ``(x - mean) / sqrt(var + 1e-8)``, clipped. The statistics are a collection
    ``observation_stats`` of the variables, which starts with a mean of zero and a
    variance of one, and which `update_observation_stats` updates. Evaluation normalises
    by the statistics in the variables that it is given.

    Args:
      model: Model whose first input are observations.
      observation: Specification of an observation, ``env.observation``.
      clip: Maximum absolute value of a normalised observation.

    References:
      Andrychowicz et al., `What Matters in On-Policy Reinforcement Learning?
      <https://arxiv.org/abs/2006.05990>`_, 2020.
    """

    def init(key):
        stats = {
            "count": jnp.zeros((), jnp.float32),
            "mean": jnp.zeros(observation.shape, jnp.float32),
            "var": jnp.ones(observation.shape, jnp.float32),
        }
        return {**model.init(key), OBSERVATION_STATS: stats}

    def apply(variables, x, *inputs, **options):
        stats = variables[OBSERVATION_STATS]
        others = {k: v for k, v in variables.items() if k != OBSERVATION_STATS}
        # Differences are taken in float32, whatever the observations come in.
        mean, std = (
            _expand(moment, x.ndim)
            for moment in (stats["mean"], jnp.sqrt(stats["var"] + 1e-8))
        )
        x = jnp.clip((x.astype(jnp.float32) - mean) / std, -clip, clip)
        outputs, model_state = model.apply(others, x, *inputs, **options)
        return outputs, {**model_state, OBSERVATION_STATS: stats}

    return Model(init, apply)


def update_observation_stats(
    variables: Mapping[str, PyTree], observation: Array, mask: Array | None = None
) -> dict[str, PyTree]:
    """Variables whose observation statistics are those of more observations.

    Count, mean and variance of the old and the new observations are combined in
    float32, by the formula of Chan, Golub and LeVeque.

    Args:
      variables: Collections by name, such as the variables of a model. Without
        ``observation_stats``, they are returned as they are.
      observation: Observations, [..., *shape].
      mask: True for observations that count, bool [...]. Default: all of them.

    References:
      Chan, Golub and LeVeque, `Algorithms for Computing the Sample Variance
      <https://doi.org/10.1080/00031305.1983.10483115>`_, 1983.
    """
    if OBSERVATION_STATS not in variables:
        return dict(variables)
    old = variables[OBSERVATION_STATS]
    ndim = observation.ndim
    axes = tuple(range(ndim - old["mean"].ndim))
    if mask is None:
        mask = jnp.ones(observation.shape[: len(axes)], bool)
    number = mask.sum(dtype=jnp.float32)
    mask = mask.reshape(*mask.shape, *(1,) * old["mean"].ndim)

    def mean(x):
        # A selection, and not a product: what is masked may be NaN.
        return jnp.where(mask, x, 0).sum(axis=axes) / jnp.maximum(number, 1)

    # Relative to the old mean, observations far from zero lose no digits to it.
    relative = observation.astype(jnp.float32) - _expand(old["mean"], ndim)
    delta = mean(relative)
    var = mean(jnp.square(relative - _expand(delta, ndim)))
    count = old["count"] + number
    share = number / jnp.maximum(count, 1)
    new = {
        "count": count,
        "mean": old["mean"] + delta * share,
        # Between the two means lies the rest of the variance.
        "var": (1 - share) * old["var"]
        + share * var
        + share * (1 - share) * jnp.square(delta),
    }
    return {**variables, OBSERVATION_STATS: new}


def _expand(x: Array, ndim: int) -> Array:
    """Array with leading axes of size one, up to a number of axes."""
    return x.reshape(*(1,) * (ndim - x.ndim), *x.shape)
