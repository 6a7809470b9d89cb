"""Narrow deep ReLU networks are born dead; leaky ones are not.

fdl train experiments/theory/born_dead.py --seeds 5

Of new networks ten layers deep, with He's scale, constant on the whole interval
[-√3, √3] are: of width 2, 90.5 ± 0.4 %; 3, 63.5 ± 0.7 %; 4, 33.5 ± 0.4 %; 8,
1.00 ± 0.06 %; 12, 0.02 ± 0.02 % (mean ± standard error of the seeds 0 to 4, 2000
networks each). Of leaky ones none is. All three claims hold. All five take 11
seconds on two CPU cores.

References:
  Lu et al., `Dying ReLU and Initialization <https://arxiv.org/abs/1903.06733>`_, 2019.
"""

from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

import fdl

ACTIVATIONS = {"relu": nn.relu, "leaky_relu": nn.leaky_relu}


def get_config(size: Literal["full", "smoke"] = "full") -> ConfigDict:
    """Config of the experiment: sizes, rates and periods."""
    config = ConfigDict()
    config.num_steps = 10 if size == "full" else 1  # Each draws new networks.
    config.log_every = "1 step"
    config.eval_every = "10 steps"
    config.save_every = "never"
    config.best = "min relu_3/dead"

    config.widths = (2, 3, 4, 6, 8, 12) if size == "full" else (3, 12)
    config.depth = 10
    config.num_networks = 200 if size == "full" else 20
    return config


def build(config: ConfigDict) -> fdl.Experiment:
    """Experiment of a config."""
    batches = fdl.data.no_data(config.num_networks, "networks")
    arms = {}
    for name, activation in ACTIVATIONS.items():
        for width in config.widths:
            learner = fdl.monte_carlo(deaths(config, width, activation))
            arms[f"{name}_{width}"] = fdl.Experiment(
                learner, batches, fdl.monte_carlo_estimates
            )
    return fdl.experiment.compare(
        arms,
        claims=[
            fdl.Claim(
                "three ReLUs wide and ten deep, most networks are born dead (share)",
                lambda m: m["relu_3/dead"],
                at_least=0.58,
                at_most=0.70,
            ),
            fdl.Claim(
                "of leaky ones none is, however narrow (share)",
                lambda m: max(m[f"leaky_relu_{width}/dead"] for width in config.widths),
                at_most=0,
            ),
            fdl.Claim(
                "twelve ReLUs wide, hardly any is (share)",
                lambda m: m[f"relu_{config.widths[-1]}/dead"],
                at_most=0.01,
            ),
        ],
    )


def deaths(config, width, activation):
    """Measures how many new networks are constant on the interval [−√3, √3]."""
    module = fdl.models.MLP(
        (width,) * config.depth,
        num_outputs=1,
        activation=activation,
        kernel_init=nn.initializers.variance_scaling(2.0, "fan_in", "normal"),
    )
    inputs = jnp.linspace(-(3**0.5), 3**0.5, 50)[:, None]
    model = fdl.models.functional(module, inputs)

    def is_dead(key):
        outputs, _ = model.apply(model.init(key), inputs)
        return (outputs == outputs[:1]).all()

    def measure(key):
        dead = jax.vmap(is_dead)(jax.random.split(key, config.num_networks))
        return {"dead": fdl.metrics.mean(dead)}

    return measure
