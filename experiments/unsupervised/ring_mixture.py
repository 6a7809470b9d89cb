"""A Gaussian mixture of the ring by gradient, beside expectation-maximisation.

fdl train experiments/unsupervised/ring_mixture.py --seeds 5

A negative log-likelihood of -1.0723 ± 0.0002 nats on 2000 test points (mean ± standard
error of the seeds 0 to 4, which differ in the order of the batches), where that of
expectation-maximisation is -1.0724; both begin at the clusters of k-means. The claim
holds. All five take 18 seconds of processor time.
"""

from typing import Literal

import jax
import numpy as np
from ml_collections import ConfigDict
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture

import fdl
from fdl.types import Evaluate, Variables


def get_config(size: Literal["full", "smoke"] = "full") -> ConfigDict:
    """Config of the experiment: sizes, rates and periods."""
    config = ConfigDict()
    config.num_steps = 2000 if size == "full" else 10
    config.log_every = "100 steps"
    config.eval_every = "500 steps"
    config.save_every = "never"
    config.steps_per_call = 100

    config.batch_size = 256
    config.num_components = 8
    config.optimizer = {"name": "adam", "learning_rate": 1e-2, "schedule": "cosine"}
    return config


def build(config: ConfigDict) -> fdl.Experiment:
    """Experiment of a config."""
    splits = fdl.data.load_splits("ring")
    train, validation, test = (np.float64(part["features"]) for part in splits)
    mixture = GaussianMixture(config.num_components, tol=1e-6, random_state=0)
    mixture.fit(train)
    points = jax.ShapeDtypeStruct((2,), np.dtype("float32"))

    def sampler(model, _):
        return fdl.evaluation.sampler(
            lambda variables, temperature, key: model.apply(
                variables, temperature, key=key, method="sample"
            )[0]
        )

    abilities = {"sample": sampler, "log_density": fdl.evaluation.log_density}
    experiment = fdl.supervised(
        config,
        splits,
        fdl.data.preprocessing.arrays(features=points),
        fdl.models.GaussianMixture(config.num_components),
        fdl.experiment.Task(fdl.objectives.density, abilities),
        variables=clusters(train, config.num_components),
        claims=[
            fdl.Claim(
                "the gradient reaches the likelihood of EM (difference in nats)",
                lambda m: m["loss"] - m["em_loss"],
                at_most=0.01,
            )
        ],
    )
    return experiment._replace(
        evaluate=beside_em(experiment.evaluate, mixture, validation),
        test=beside_em(experiment.test, mixture, test),
    )


def clusters(points: np.ndarray, num_components: int) -> Variables:
    """Mixture of spheres at the centres of k-means, as large as their mean distance."""
    means = KMeans(num_components, n_init=10, random_state=0).fit(points)
    deviation = np.sqrt(means.inertia_ / points.size)
    shape, count = means.cluster_centers_.shape, num_components
    params = {
        "logits": np.zeros(count, np.float32),
        "means": means.cluster_centers_.astype(np.float32),
        "log_diagonal": np.full(shape, -np.log(deviation), np.float32),
        "off_diagonal": np.zeros((count, shape[1] * (shape[1] - 1) // 2), np.float32),
    }
    return {"params": params}


def beside_em(
    evaluate: Evaluate, mixture: GaussianMixture, points: np.ndarray
) -> Evaluate:
    """Evaluation with the negative log-likelihood of scikit-learn's mixture."""
    loss = -float(mixture.score(points))
    return lambda variables: {**evaluate(variables), "em_loss": loss}
