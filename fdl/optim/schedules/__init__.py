"""The schedules that a config can name; this module is their registry.

Each takes the peak of the learning rate and the number of steps of the run, which
`chain` fills in, and then what its shape is made of. Where it asks for steps, a float
below one is a share of the run. ``plateau`` is no function of the step: it looks at the
loss of training, see `optax.contrib.reduce_on_plateau`; ``accumulation_size`` is the
number of steps whose mean it takes.
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
