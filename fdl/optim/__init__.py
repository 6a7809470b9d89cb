"""Optimizers: chains of optax transformations, assembled from a config."""

from fdl.optim import masks, optimizers, schedules
from fdl.optim.averaging import averaged, exponential_average, stochastic_average
from fdl.optim.chain import Chain, chain, describe
from fdl.optim.freezing import freeze, frozen
from fdl.optim.guarding import accepted, guard, loss_scale
from fdl.optim.max_norm import max_norm
from fdl.optim.noise import noisy_weights
from fdl.optim.sharpness import sharpness_aware
from fdl.optim.warmups import noam_peak
from fdl.optim.watching import watch, watched

__all__ = [
    "Chain",
    "accepted",
    "averaged",
    "chain",
    "describe",
    "exponential_average",
    "freeze",
    "frozen",
    "guard",
    "loss_scale",
    "masks",
    "max_norm",
    "noam_peak",
    "noisy_weights",
    "optimizers",
    "schedules",
    "sharpness_aware",
    "stochastic_average",
    "watch",
    "watched",
]
