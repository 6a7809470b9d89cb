"""Observation normalisation by running statistics, a collection of the variables."""

from collections.abc import Mapping

import jax.numpy as jnp

from fdl.rl.statistics.running import (
    RunningStats,
    expand,
    init_running_stats,
    update_running_stats,
)
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
        stats = init_running_stats(observation.shape)
        return {**model.init(key), OBSERVATION_STATS: stats._asdict()}

    def apply(variables, x, *inputs, **options):
        stats = variables[OBSERVATION_STATS]
        others = {k: v for k, v in variables.items() if k != OBSERVATION_STATS}
        # Differences are taken in float32, whatever the observations come in.
        running = RunningStats(**stats)
        x = x.astype(jnp.float32) - expand(running.mean, x.ndim)
        x = jnp.clip(running.scale(x), -clip, clip)
        outputs, model_state = model.apply(others, x, *inputs, **options)
        return outputs, {**model_state, OBSERVATION_STATS: stats}

    return Model(init, apply)


def update_observation_stats(
    variables: Mapping[str, PyTree], observation: Array, mask: Array | None = None
) -> dict[str, PyTree]:
    """Variables whose observation statistics are those of more observations.

    They are combined in float32; see `update_running_stats`.

    Args:
      variables: Collections by name, such as the variables of a model. Without
        ``observation_stats``, they are returned as they are.
      observation: Observations, [..., *shape].
      mask: True for observations that count, bool [...]. Default: all of them.
    """
    if OBSERVATION_STATS not in variables:
        return dict(variables)
    old = RunningStats(**variables[OBSERVATION_STATS])
    new = update_running_stats(old, observation, mask)
    return {**variables, OBSERVATION_STATS: new._asdict()}
