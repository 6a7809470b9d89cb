"""Namespace of the optimizers that a config can name.

Definitions are optax's, and so are the defaults. Where the arguments have the same
value, these equal PyTorch's: ``sgd`` with momentum and Nesterov's, ``adam``, ``adamw``,
``adamax``, ``adadelta``, ``rmsprop(decay=0.99, eps_in_sqrt=False)``, ``adagrad(
initial_accumulator_value=0, eps=1e-10)``. What differs:

* ``adamw``, ``lion`` have no weight decay by default; PyTorch's AdamW has 0.01.
* ``rmsprop`` has a decay of 0.9 and ε inside of the root; PyTorch 0.99, outside.
* ``adagrad`` starts from 0.1 with ε = 1e-7; PyTorch from 0 with 1e-10.
* ``nadam`` has a constant momentum where PyTorch's has Dozat's schedule, ``amsgrad``
  the maximum of corrected moments, not of raw ones; ``radam`` and ``rprop`` differ in
  details: the same ideas, other numbers.

Sharpness-aware minimisation applies to any of them: it is the option ``sam`` of
`chain`.
"""

from optax import (
    adabelief,
    adadelta,
    adafactor,
    adagrad,
    adam,
    adamax,
    adamaxw,
    adamw,
    adan,
    amsgrad,
    lamb,
    lars,
    lbfgs,
    lion,
    nadam,
    nadamw,
    novograd,
    radam,
    rmsprop,
    rprop,
    sgd,
    sign_sgd,
    signum,
    yogi,
)
from optax.contrib import ademamix, adopt, dadapt_adamw, dog, muon, prodigy

from fdl.optim.transforms.momentum import momentum, nesterov
from fdl.optim.transforms.schedule_free import schedule_free_adamw, schedule_free_sgd
from fdl.optim.transforms.sm3 import sm3

__all__ = [
    "adabelief",
    "adadelta",
    "adafactor",
    "adagrad",
    "adam",
    "adamax",
    "adamaxw",
    "adamw",
    "adan",
    "ademamix",
    "adopt",
    "amsgrad",
    "dadapt_adamw",
    "dog",
    "lamb",
    "lars",
    "lbfgs",
    "lion",
    "momentum",
    "muon",
    "nadam",
    "nadamw",
    "nesterov",
    "novograd",
    "prodigy",
    "radam",
    "rmsprop",
    "rprop",
    "schedule_free_adamw",
    "schedule_free_sgd",
    "sgd",
    "sign_sgd",
    "signum",
    "sm3",
    "yogi",
]
