"""Gated networks add two numbers that are far apart; Elman's network does not learn it.

fdl train experiments/theory/adding_problem.py --seeds 5

Two of 100 numbers are marked, one in each half, and their sum is the target. After 800
steps the squared error of an LSTM is 0.0013, of a GRU 0.0003, and of Elman's network
0.164, about that of the mean, 0.167 (means of the seeds 0 to 4). All claims hold; the
five seeds take 145 seconds of CPU time.
"""

from typing import Literal

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

import fdl


def get_config(size: Literal["full", "smoke"] = "full") -> ConfigDict:
    """Config of the experiment: sizes, rates and periods."""
    config = ConfigDict()
    config.num_steps = 800 if size == "full" else 2
    config.log_every = "20 steps"
    config.eval_every = "200 steps"
    config.save_every = "never"
    config.steps_per_call = 20 if size == "full" else 1
    config.best = "min elman/loss"

    config.length = 100 if size == "full" else 8
    config.hidden_size = 32 if size == "full" else 4
    config.batch_size = 64
    config.num_test = 1000
    config.learning_rates = {"elman": 1e-3, "gru": 1e-2, "lstm": 1e-2}
    if size == "smoke":
        config.learning_rates = {"elman": 1e-3}
    config.optimizer = {"name": "adam", "clip_by_global_norm": 1.0}
    return config


def build(config: ConfigDict) -> fdl.Experiment:
    """Experiment of a config."""
    splits = fdl.data.drawn_splits(
        sequence(config.length), config.batch_size, config.num_test, config.seed
    )
    arms = {
        cell: fdl.supervised(
            config,
            splits,
            fdl.data.preprocessing.arrays(
                features=jax.ShapeDtypeStruct((config.length, 2), "float32")
            ),
            fdl.models.RNNClassifier(config.hidden_size, cell=cell, num_classes=1),
            fdl.experiment.Task(fdl.objectives.regression),
            optimizer={**config.optimizer, "learning_rate": learning_rate},
        )
        for cell, learning_rate in config.learning_rates.items()
    }
    return fdl.experiment.compare(
        arms,
        claims=[
            fdl.Claim(
                f"{what} (squared error; of the mean 0.167)",
                lambda m, cell=cell: m[f"{cell}/loss"],
                at_least=least,
                at_most=most,
            )
            for cell, what, least, most in (
                ("elman", "Elman's network does not learn to add", 0.05, None),
                ("gru", "a GRU does", None, 0.005),
                ("lstm", "and so does an LSTM", None, 0.01),
            )
            if cell in arms
        ],
    )


def sequence(length):
    """Draws numbers from [0, 1], of which one in each half is marked, and their sum."""

    def draw(key):
        value_key, first_key, second_key = jax.random.split(key, 3)
        values = jax.random.uniform(value_key, (length,))
        first = jax.random.randint(first_key, (), 0, length // 2)
        second = jax.random.randint(second_key, (), length // 2, length)
        places = jnp.arange(length)
        marks = ((places == first) | (places == second)).astype(jnp.float32)
        return {
            "features": jnp.stack([values, marks], axis=-1),
            "target": values @ marks,
        }

    return draw
