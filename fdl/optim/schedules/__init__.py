"""Namespace of the learning rate schedules that a config can name.

Each takes the peak of the learning rate and the number of steps of the run, which
`chain` fills in, and then the options of its shape. Numbers of steps may be given as a
share of the run, a float below one. ``plateau`` is not a function of the step: it
reduces the learning rate when the training loss stops falling, see
`optax.contrib.reduce_on_plateau`; its ``accumulation_size`` is the number of steps over
which the loss is averaged.
"""

from optax.contrib import reduce_on_plateau as plateau

from fdl.optim.schedules.cyclic import cyclic, one_cycle, warm_restarts
from fdl.optim.schedules.decay import (
    constant,
    cosine,
    exponential,
    linear,
    polynomial,
    step,
)
from fdl.optim.schedules.warmup import inverse_sqrt, warmup_stable_decay

__all__ = [
    "constant",
    "cosine",
    "cyclic",
    "exponential",
    "inverse_sqrt",
    "linear",
    "one_cycle",
    "plateau",
    "polynomial",
    "step",
    "warm_restarts",
    "warmup_stable_decay",
]
