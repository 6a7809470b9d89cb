"""Encode binarised 8x8 digits in eight latents, by convolutions.

fdl train experiments/unsupervised/digits_conv_vae.py --seeds 5
"""

from typing import Literal

from ml_collections import ConfigDict

import fdl


def get_config(size: Literal["full", "smoke"] = "full") -> ConfigDict:
    """Config of the experiment: sizes, rates and periods."""
    config = ConfigDict()
    config.num_epochs = 60 if size == "full" else 1
    config.log_every = "2 epochs"
    config.eval_every = "10 epochs"
    config.save_every = "10 epochs"
    config.steps_per_call = 82

    config.batch_size = 32
    config.model = {"features": (16, 32), "hidden_sizes": (128,), "latent_size": 8}
    config.optimizer = {
        "name": "adamw",
        "learning_rate": 2e-3,
        "schedule": "cosine",
        "weight_decay": 0.3,
    }
    config.num_samples = 1000 if size == "full" else 50  # For the log-likelihood.
    return config


def build(config: ConfigDict) -> fdl.Experiment:
    """Experiment of a config."""
    splits = fdl.data.binarized(fdl.data.load_splits("digits"), threshold=8)
    experiment = fdl.supervised(
        config,
        splits,
        fdl.data.preprocessing.images((8, 8, 1), white=1),
        fdl.models.VAE(**config.model, input_shape=(8, 8, 1)),
        fdl.experiment.variational(),
    )
    return fdl.experiment.with_log_likelihood(
        experiment, num_samples=config.num_samples
    )
