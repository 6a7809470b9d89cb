"""Put a row of symbols in order, with a small GPT.

fdl train experiments/text/sort.py --seeds 5

99.96 ± 0.02 % of the rows of the test are right as a whole (mean ± standard error of
the seeds 0 to 4; worst 99.9). The five seeds take 185 seconds of CPU time.

Symbols are drawn anew in each step, on the device, and those of the test from a seed
that no run has. Exact match is that of greedy decoding, though all symbols are
predicted at once from those before them in the right answer: as long as all are right,
these are those that it has written.
"""

from typing import Literal

import jax.numpy as jnp
from ml_collections import ConfigDict

import fdl


def get_config(size: Literal["full", "smoke"] = "full") -> ConfigDict:
    """Config of the experiment: sizes, rates and periods."""
    config = ConfigDict()
    config.num_steps = 1000 if size == "full" else 2
    config.log_every = "20 steps"
    config.eval_every = "100 steps"
    config.save_every = "100 steps"
    config.steps_per_call = 20 if size == "full" else 1
    config.best = "max exact_match"

    config.num_symbols = 20
    config.length = 10 if size == "full" else 3
    config.batch_size = 64 if size == "full" else 4
    config.num_test = 1000 if size == "full" else 8
    config.model = {
        "name": "GPT",
        "num_layers": 2,
        "num_heads": 4,
        "hidden_size": 64 if size == "full" else 8,
    }
    config.optimizer = {
        "name": "adamw",
        "learning_rate": 3e-3,
        "schedule": "cosine",
        "warmup": 0.1,
        "clip_by_global_norm": 1.0,
    }
    return config


def build(config: ConfigDict) -> fdl.Experiment:
    """Experiment of a config."""
    return fdl.experiment.sequence_task(
        config,
        jnp.sort,
        fdl.make(
            fdl.models,
            config.model,
            vocab_size=config.num_symbols + 1,
            max_length=2 * config.length,
        ),
        claims=[
            fdl.Claim(
                "it puts a row of symbols in order without a mistake",
                lambda m: m["exact_match"],
                at_least=0.99,
            )
        ],
    )
