"""Optimizers: chains of optax transformations, assembled from a config."""

from fdl.optim import masks, optimizers, schedules
from fdl.optim.averaging import Average, exponential_average, stochastic_average
from fdl.optim.chain import Chain, chain, describe
from fdl.optim.report import Report
from fdl.optim.schedules.warmup import noam_peak
from fdl.optim.transforms.freezing import freeze, frozen
from fdl.optim.transforms.logging import record_update
from fdl.optim.transforms.max_norm import max_norm
from fdl.optim.transforms.sharpness_aware import sharpness_aware
from fdl.optim.transforms.skip_nonfinite import skip_nonfinite_updates
from fdl.optim.transforms.weight_noise import noisy_weights

__all__ = [
    "Average",
    "Chain",
    "Report",
    "chain",
    "describe",
    "exponential_average",
    "freeze",
    "frozen",
    "masks",
    "max_norm",
    "noam_peak",
    "noisy_weights",
    "optimizers",
    "record_update",
    "schedules",
    "sharpness_aware",
    "skip_nonfinite_updates",
    "stochastic_average",
]
