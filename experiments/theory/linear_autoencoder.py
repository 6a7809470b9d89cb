"""A linear autoencoder is PCA: its error and its subspace, but not its directions.

fdl train experiments/theory/linear_autoencoder.py --seeds 5

With 2 and 8 numbers for an image of 8x8 pixels, the mean squared error on 360 test
images is 0.053135 and 0.024699 for each of five seeds, above PCA's by a share of at
most 0.0001. The largest principal angle between the columns of the decoder and the
components is 0.0007 ± 0.0001 and 0.0060 ± 0.0008 degrees (mean ± standard error of the
seeds 0 to 4; worst 0.0081). The columns are any basis of the subspace: of 8, the cosine
of a component with the nearest one is 0.63 ± 0.02. All five claims hold. All five seeds
take 24 seconds of processor time, with compiling.
"""

from typing import Literal

import jax
import numpy as np
from ml_collections import ConfigDict
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA

import fdl


def get_config(size: Literal["full", "smoke"] = "full") -> ConfigDict:
    """Config of the experiment: sizes, rates and periods."""
    config = ConfigDict()
    config.num_steps = 3000 if size == "full" else 10
    config.log_every = "100 steps"
    config.eval_every = "600 steps"
    config.save_every = "never"
    config.steps_per_call = 100
    config.best = "min numbers_8/loss"

    config.batch_size = 1293  # All examples: the gradient is without noise.
    config.code_sizes = (2, 8)
    config.optimizer = {"name": "momentum", "learning_rate": 1.0, "momentum": 0.98}
    return config


def build(config: ConfigDict) -> fdl.Experiment:
    """Experiment of a config."""
    splits = fdl.data.centred(fdl.data.load_splits("digits"), white=16)
    images = jax.ShapeDtypeStruct((8, 8, 1), np.float32)
    arms, claims = {}, []
    for size in config.code_sizes:
        pca = PCA(size, svd_solver="full")
        components = pca.fit(splits.train["image"].reshape(-1, 64)).components_
        arm = fdl.supervised(
            config,
            splits,
            fdl.data.preprocessing.arrays(image=images),
            fdl.models.Autoencoder((), size, input_shape=(8, 8, 1)),
            fdl.experiment.reconstruction(),
        )
        arm = arm._replace(
            evaluate=beside(arm.evaluate, components),
            test=beside(arm.test, components),
        )
        name = f"numbers_{size}"
        arms[name] = fdl.experiment.with_unsupervised_baselines(
            arm, splits, {"pca": pca}
        )
        claims += claims_of(name)
    claims.append(
        fdl.Claim(
            "numbers_8: its directions are not the components (mean cosine of each "
            "component with the nearest direction)",
            lambda m: m["numbers_8/cosine"],
            at_most=0.8,
        )
    )
    return fdl.experiment.compare(arms, claims=claims)


def claims_of(name):
    """Claims of a code of one size."""
    return [
        fdl.Claim(
            f"{name}: the error is that of PCA (share above it)",
            lambda m: m[f"{name}/loss"] / m[f"{name}/pca_loss"] - 1,
            at_least=-0.01,
            at_most=0.01,
        ),
        fdl.Claim(
            f"{name}: so is the subspace (largest principal angle, degrees)",
            lambda m: m[f"{name}/angle"],
            at_most=1,
        ),
    ]


def beside(evaluate, components):
    """Also compares the decoder with principal components, float [D, 64]."""

    def compared(variables):
        kernel = variables["params"]["decoder"]["mlp"]["head"]["kernel"]
        decoder = np.asarray(kernel, np.float64)
        angles = subspace_angles(components.T, decoder.T)
        units = decoder / np.linalg.norm(decoder, axis=1, keepdims=True)
        cosines = np.abs(components @ units.T).max(axis=1)
        return {"angle": np.degrees(angles.max()), "cosine": cosines.mean()}

    return fdl.evaluation.together(evaluate, compared)
