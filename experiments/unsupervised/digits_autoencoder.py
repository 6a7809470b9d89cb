"""Squeeze 8x8 digits through eight numbers, beside PCA with as many components.

fdl train experiments/unsupervised/digits_autoencoder.py

A mean squared error of 0.01223 ± 0.00014 on 360 test images (mean ± standard error of
the seeds 0 to 4; worst 0.01258), where PCA has 0.02465. A seed trains for 3 seconds on
two CPU cores.
"""

import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict
from sklearn.decomposition import PCA

import fdl


def get_config(size: str = "full") -> ConfigDict:
    """Config of the experiment: sizes, rates and periods."""
    config = ConfigDict()
    config.num_epochs = 100 if size == "full" else 1
    config.log_every = "2 epochs"
    config.eval_every = "10 epochs"
    config.save_every = "10 epochs"
    config.steps_per_call = 90

    config.batch_size = 32
    config.model = {"hidden_sizes": (256, 128), "code_size": 8}
    config.optimizer = {"name": "adam", "learning_rate": 1e-3}
    return config


def build(config: ConfigDict) -> fdl.Experiment:
    """Experiment of a config: data, model, learner and evaluation."""
    train, test = (fdl.data.load("digits", split) for split in ("train", "test"))
    module = fdl.models.Autoencoder(**config.model)
    model = fdl.models.functional(module, jnp.zeros((1, 8, 8, 1)))
    objective = fdl.objectives.reconstruction(model)
    batches = fdl.data.batches(train, config.batch_size, config.seed)
    testing = fdl.data.batches(test, len(test["image"]), shuffle=False)
    evaluate = fdl.on_dataset(objective, fdl.data.scale(testing, image=1 / 16))
    pca_loss = loss_of_pca(train["image"], test["image"], config.model.code_size)
    num_steps = fdl.config.num_steps(config, batches.steps_per_epoch)
    optimizer = fdl.optim.chain(**config.optimizer, num_steps=num_steps)
    return fdl.Experiment(
        learner=fdl.gradient_learner(model, objective, optimizer),
        batches=fdl.data.scale(batches, image=1 / 16),
        evaluate=lambda state: {**evaluate(state), "pca_loss": pca_loss},
    )


def loss_of_pca(train: np.ndarray, test: np.ndarray, num_components: int) -> float:
    """Mean squared error of PCA on the test images."""
    train, test = (x.reshape(len(x), -1) / 16 for x in (train, test))
    pca = PCA(num_components, svd_solver="full").fit(train)
    restored = pca.inverse_transform(pca.transform(test))
    return float(np.mean((restored - test) ** 2))
