"""Encode binarised 8x8 digits in eight latents: a variational autoencoder.

fdl train experiments/unsupervised/digits_vae.py --seeds 5
"""

from typing import Literal

from ml_collections import ConfigDict

import fdl


def get_config(size: Literal["full", "smoke"] = "full") -> ConfigDict:
    """Config of the experiment: sizes, rates and periods."""
    config = ConfigDict()
    config.num_epochs = 150 if size == "full" else 1
    config.log_every = "2 epochs"
    config.eval_every = "5 epochs"
    config.save_every = "5 epochs"
    config.steps_per_call = 41

    config.batch_size = 32
    config.model = {"hidden_sizes": (256,), "latent_size": 8}
    config.optimizer = {"name": "adam", "learning_rate": 1e-3, "schedule": "cosine"}
    return config


def build(config: ConfigDict) -> fdl.Experiment:
    """Experiment of a config."""
    splits = fdl.data.binarized(fdl.data.load_splits("digits"), threshold=8)
    return fdl.supervised(
        config,
        splits,
        fdl.data.preprocessing.images((8, 8, 1), white=1),
        fdl.models.VAE(**config.model, input_shape=(8, 8, 1)),
        fdl.experiment.variational(),
    )
