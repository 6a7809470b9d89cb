"""Probability distributions, parametrised by the outputs of a network.

Parameters have any leading axes, and all is computed in at least float32. Vectors of
independent numbers, such as the actions of several motors, lie along the last axis:
their log-probability and entropy are summed over it.
"""

from fdl.distributions.bernoulli import bernoulli
from fdl.distributions.beta import beta
from fdl.distributions.categorical import (
    categorical,
    mask_logits,
    multi_categorical,
)
from fdl.distributions.distribution import Distribution, checked
from fdl.distributions.normal import normal
from fdl.distributions.squashed_normal import squashed_normal

__all__ = [
    "Distribution",
    "bernoulli",
    "beta",
    "categorical",
    "checked",
    "mask_logits",
    "multi_categorical",
    "normal",
    "squashed_normal",
]
