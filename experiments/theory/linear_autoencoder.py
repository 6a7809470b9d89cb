"""A linear autoencoder is PCA: its error and its subspace, but not its directions.

fdl train experiments/theory/linear_autoencoder.py --seeds 5

RESULT
"""

from typing import Literal

import numpy as np
from ml_collections import ConfigDict
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA

import fdl

NETWORKS = {"linear": (), "deep": (32,)}  # Sizes of linear hidden layers.


def get_config(size: Literal["full", "smoke"] = "full") -> ConfigDict:
    """Config of the experiment: sizes, rates and periods."""
    config = ConfigDict()
    config.num_steps = 600 if size == "full" else 10
    config.log_every = "50 steps"
    config.eval_every = "100 steps"
    config.save_every = "never"
    config.steps_per_call = 50
    config.best = "min linear/loss"

    config.batch_size = 1293  # All examples.
    config.code_size = 8
    # The variances of the eighth and the ninth component are nearly equal: after 3000
    # steps of Adam the error is that of PCA, but an angle of 28 degrees is left.
    config.optimizer = {"name": "lbfgs", "learning_rate": None}
    return config


def build(config: ConfigDict) -> fdl.Experiment:
    """Experiment of a config."""
    splits = fdl.data.load_splits("digits")
    pca = PCA(config.code_size, svd_solver="full")
    components = pca.fit(splits.train["image"].reshape(-1, 64) / 16).components_
    arms = {}
    for name, hidden_sizes in NETWORKS.items():
        arm = fdl.supervised(
            config,
            splits,
            fdl.data.preprocessing.images((8, 8, 1), white=16),
            fdl.models.Autoencoder(
                hidden_sizes,
                config.code_size,
                input_shape=(8, 8, 1),
                activation=lambda x: x,
            ),
            fdl.experiment.reconstruction(config.code_size),
        )
        arm = arm._replace(
            evaluate=beside(arm.evaluate, components),
            test=beside(arm.test, components),
        )
        arms[name] = fdl.experiment.with_unsupervised_baselines(
            arm, splits, {"pca": pca}
        )
    claims = []
    for name in NETWORKS:
        claims += [
            fdl.Claim(
                f"{name}: the error is that of PCA (share above it)",
                lambda m, name=name: m[f"{name}/loss"] / m[f"{name}/pca_loss"] - 1,
                at_least=-0.01,
                at_most=0.01,
            ),
            fdl.Claim(
                f"{name}: so is the subspace (largest principal angle, degrees)",
                lambda m, name=name: m[f"{name}/angle"],
                at_most=5,
            ),
            fdl.Claim(
                f"{name}: its directions are not the components (mean cosine of each "
                "component with the nearest one)",
                lambda m, name=name: m[f"{name}/cosine"],
                at_most=0.9,
            ),
        ]
    return fdl.experiment.compare(arms, claims=claims)


def beside(evaluate, components):
    """Also compares the decoder with principal components, float [8, 64]."""

    def compared(variables):
        layers = variables["params"]["decoder"]["mlp"]
        decoder = np.eye(len(components))
        for name in sorted(layers):  # dense_0, ..., head.
            decoder = decoder @ np.asarray(layers[name]["kernel"], np.float64)
        angles = subspace_angles(components.T, decoder.T)
        units = decoder / np.linalg.norm(decoder, axis=1, keepdims=True)
        cosines = np.abs(components @ units.T).max(axis=1)
        return {"angle": np.degrees(angles.max()), "cosine": cosines.mean()}

    return fdl.evaluation.together(evaluate, compared)
