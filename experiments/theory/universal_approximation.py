"""The wider the hidden layer, the closer it comes to a sine.

fdl train experiments/theory/universal_approximation.py --seeds 5

The greatest error of networks of tanh units on [-π, π], between the points learnt from:
one unit 0.708 ± 0.002, three 0.27 ± 0.13, ten 0.017 ± 0.008, fifty 0.0091 ± 0.0007
(mean ± standard error of the seeds 0 to 4). Three come as close as 0.034, but with one
seed of the five they are stuck where one unit is: what they can represent is not all
that they learn. All three claims hold. All five take 7 seconds on two CPU cores.
"""

from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

import fdl


def get_config(size: Literal["full", "smoke"] = "full") -> ConfigDict:
    """Config of the experiment: sizes, rates and periods."""
    config = ConfigDict()
    config.num_steps = 3000 if size == "full" else 10  # Each of all examples.
    config.log_every = "100 steps"
    config.eval_every = "500 steps"
    config.save_every = "never"
    config.steps_per_call = 100
    config.best = "min width_50/max_error"

    config.num_examples = config.batch_size = 200
    config.widths = (1, 3, 10, 50)
    config.optimizer = {"name": "adam", "learning_rate": 1e-2, "schedule": "cosine"}
    return config


def build(config: ConfigDict) -> fdl.Experiment:
    """Experiment of a config."""
    x = np.linspace(-np.pi, np.pi, config.num_examples, dtype=np.float32)
    between = (x[1:] + x[:-1]) / 2  # Where nothing is learnt, but all is asked.
    train, held_out = (
        {"features": points[:, None], "target": np.sin(points)}
        for points in (x, between)
    )
    arms = {}
    for width in config.widths:
        arm = fdl.supervised(
            config,
            fdl.data.Splits(train, held_out),
            fdl.data.preprocessing.arrays(
                features=jax.ShapeDtypeStruct((1,), "float32")
            ),
            fdl.models.MLP((width,), num_outputs=1, activation=nn.tanh),
            fdl.experiment.Task(fdl.objectives.regression),
        )
        arms[f"width_{width}"] = arm._replace(
            evaluate=greatest_error(arm.model, between)
        )
    return fdl.experiment.compare(
        arms,
        claims=[
            fdl.Claim(
                "one tanh is far from a sine (greatest error)",
                lambda m: m["width_1/max_error"],
                at_least=0.3,
            ),
            fdl.Claim(
                "ten come within a tenth (greatest error)",
                lambda m: m["width_10/max_error"],
                at_most=0.1,
            ),
            fdl.Claim(
                "fifty within a fiftieth (greatest error)",
                lambda m: m["width_50/max_error"],
                at_most=0.02,
            ),
        ],
    )


def greatest_error(model, x):
    """Evaluates max |f(x) − sin x|."""

    def evaluate(variables):
        found, _ = model.apply(variables, jnp.asarray(x[:, None]))
        return {"max_error": float(np.abs(np.asarray(found)[:, 0] - np.sin(x)).max())}

    return evaluate
