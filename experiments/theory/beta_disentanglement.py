"""A β-VAE finds the factors that images are made of; with β = 1 it mixes them.

fdl train experiments/theory/beta_disentanglement.py --seeds 5
"""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

import fdl

POSITIONS, SIZES = 9, 4  # Numbers of values of the factors.


def get_config(size: Literal["full", "smoke"] = "full") -> ConfigDict:
    """Config of the experiment: sizes, rates and periods."""
    config = ConfigDict()
    config.num_steps = 3000 if size == "full" else 10
    config.log_every = "200 steps"
    config.eval_every = "500 steps"
    config.save_every = "never"
    config.steps_per_call = 100
    config.best = "min beta_1/loss"

    config.batch_size = 32
    config.num_held_out = 1000 if size == "full" else 100
    config.betas = (1.0, 4.0, 8.0)
    config.model = {"hidden_sizes": (128,), "latent_size": 6}
    config.optimizer = {"name": "adam", "learning_rate": 1e-3}
    return config


def build(config: ConfigDict) -> fdl.Experiment:
    """Experiment of a config."""
    splits = fdl.data.drawn_splits(
        draw, config.batch_size, config.num_held_out, config.seed
    )
    arms = {}
    for beta in config.betas:
        arm = fdl.supervised(
            config,
            splits,
            fdl.data.preprocessing.images((16, 16, 1), white=1),
            fdl.models.VAE(**config.model, input_shape=(16, 16, 1)),
            fdl.experiment.variational(beta=beta),
        )
        arms[f"beta_{beta:g}"] = arm._replace(
            evaluate=with_gap(arm.evaluate, arm, splits.validation),
            test=with_gap(arm.test, arm, splits.test),
        )
    return fdl.experiment.compare(arms)


def draw(key):
    """White square on black: uint8 [16, 16, 1], and its column, row and size."""
    keys = jax.random.split(key, 3)
    column, row = (jax.random.randint(x, (), 0, POSITIONS) for x in keys[:2])
    size = jax.random.randint(keys[2], (), 0, SIZES)
    # Squares of 2, 4, 6 and 8 pixels about a centre that the factors alone determine.
    centre = jnp.stack([row, column]) + 3
    offsets = jnp.indices((16, 16)) - centre[:, None, None]
    inside = (offsets >= -size) & (offsets < size + 2)
    image = inside.all(axis=0)[..., None].astype(jnp.uint8)
    return {"image": image, "factors": jnp.stack([column, row, size])}


def with_gap(evaluate, arm, held_out):
    """Also measures the mutual information gap of the posterior means."""
    item = next(held_out.stream(0))
    batch = held_out.take(held_out.data, item)
    images = jnp.asarray(batch["image"], jnp.float32)
    factors = np.asarray(batch["factors"])
    encode = jax.jit(
        lambda variables: arm.model.apply(variables, images, method="encode")
    )

    def evaluate_both(variables):
        (means, _), _ = encode(variables)
        gap = fdl.evaluation.mutual_information_gap(np.asarray(means), factors)
        return {**evaluate(variables), "gap": gap}

    return evaluate_both
