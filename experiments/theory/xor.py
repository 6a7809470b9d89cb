"""XOR: no linear model learns it, a network with one hidden layer does.

fdl train experiments/theory/xor.py --seeds 20
fdl train experiments/theory/xor.py:parity --seeds 5

With four tanh units all of 20 seeds get all four right; linear models at most three
of them, 50.0 ± 1.8 % (mean ± standard error). Of the parity of eight bits a linear
model gets 49.3 ± 0.8 % of 256 right, 64 units get all, with all of 5 seeds. Both claims
hold in both. All seeds together take 8 seconds on two CPU cores.
"""

import itertools
from typing import Literal

import flax.linen as nn
import jax
import numpy as np
from ml_collections import ConfigDict

import fdl


def get_config(size: Literal["full", "smoke", "parity"] = "full") -> ConfigDict:
    """Config of the experiment: sizes, rates and periods."""
    config = ConfigDict()
    config.num_steps = 10 if size == "smoke" else 500  # Each of all examples.
    config.log_every = "10 steps"
    config.eval_every = "100 steps"
    config.save_every = "never"
    config.steps_per_call = 10
    config.best = "max mlp/accuracy"

    config.num_bits = 8 if size == "parity" else 2
    config.hidden_sizes = (64,) if size == "parity" else (4,)
    config.batch_size = 2**config.num_bits
    config.optimizer = {"learning_rate": 0.01 if size == "parity" else 0.05}
    return config


def build(config: ConfigDict) -> fdl.Experiment:
    """Experiment of a config."""
    bits = np.array([*itertools.product((0, 1), repeat=config.num_bits)])
    examples = {
        "features": (2 * bits - 1).astype(np.float32),
        "label": (bits.sum(axis=1) % 2).astype(np.int32),  # Whether it is odd.
    }
    inputs = jax.ShapeDtypeStruct((config.num_bits,), "float32")
    arms = {
        name: fdl.supervised(
            config,
            fdl.data.Splits(examples, examples),
            fdl.data.preprocessing.arrays(features=inputs),
            fdl.models.MLP(sizes, num_outputs=2, activation=nn.tanh),
        )
        for name, sizes in (("linear", ()), ("mlp", config.hidden_sizes))
    }
    return fdl.experiment.compare(
        arms,
        claims=[
            fdl.Claim(
                "a linear model gets at most three of four right (accuracy)",
                lambda m: m["linear/accuracy"],
                at_most=0.75,
            ),
            fdl.Claim(
                "a hidden layer gets all right (accuracy)",
                lambda m: m["mlp/accuracy"],
                at_least=1,
            ),
        ],
    )
