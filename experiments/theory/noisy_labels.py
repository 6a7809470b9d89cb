"""Dropout and L2 keep a network from learning wrong labels by heart.

fdl train experiments/theory/noisy_labels.py --seeds 5

A network of 2 x 512 units learns 300 digits, 30 % of which have a label drawn at
random: by step 600 it knows them by heart. After 3000 it reads 74.2 ± 0.7 % of 360 test
images with a cross-entropy of 1.18 ± 0.02; with dropout 75.1 ± 0.4 % with 1.07 ± 0.02,
with L2 78.0 ± 0.5 % with 0.70 ± 0.02, with both 75.4 ± 0.7 % with 0.76 ± 0.02 (mean ±
standard error of the seeds 0 to 4, the same labels wrong in all). All five claims hold.
After 300 steps it was 75.6, 86.5, 84.9 and 86.7 %: what dropout and L2 put off they do
not prevent, and stopping early goes well with both. All five seeds take 3 minutes on
two CPU cores.
"""

import functools
from typing import Literal

import numpy as np
from ml_collections import ConfigDict

import fdl


def get_config(size: Literal["full", "smoke"] = "full") -> ConfigDict:
    """Config of the experiment: sizes, rates and periods."""
    config = ConfigDict()
    config.num_steps = 3000 if size == "full" else 10
    config.log_every = "100 steps"
    config.eval_every = "300 steps"
    config.save_every = "never"
    config.steps_per_call = 100
    config.best = "min l2/loss"

    config.num_examples = 300
    config.noise = 0.3  # Share of the labels that are drawn anew.
    config.batch_size = 32
    config.hidden_sizes = (512, 512)
    config.optimizer = {"name": "adam", "learning_rate": 1e-3}
    config.cases = {
        "none": {"dropout": 0.0, "l2": 0.0},
        "dropout": {"dropout": 0.5, "l2": 0.0},
        "l2": {"dropout": 0.0, "l2": 1e-2},
        "both": {"dropout": 0.5, "l2": 1e-3},
    }
    return config


def build(config: ConfigDict) -> fdl.Experiment:
    """Experiment of a config."""
    splits = fdl.data.load_splits("digits", train=f"train[:{config.num_examples}]")
    splits = splits._replace(train=with_noise(splits.train, config))
    images = fdl.data.preprocessing.images((8, 8, 1), white=16)
    arms = {}
    for name in ("none", "dropout", "l2", "both"):
        case = config.cases[name]
        penalty = functools.partial(fdl.losses.l2_penalty, strength=case.l2)
        arms[name] = fdl.supervised(
            config,
            splits,
            images,
            fdl.models.MLP(config.hidden_sizes, num_outputs=10, dropout=case.dropout),
            training=functools.partial(fdl.objectives.penalised, penalty=penalty),
        )
    return fdl.experiment.compare(
        arms,
        claims=[
            *(
                fdl.Claim(
                    f"with {what} the test cross-entropy is lower (by a share)",
                    lambda m, case=case: 1 - m[f"{case}/loss"] / m["none/loss"],
                    at_least=least,
                )
                for case, what, least in (
                    ("dropout", "dropout", 0.0),
                    ("l2", "L2", 0.2),
                    ("both", "both", 0.2),
                )
            ),
            fdl.Claim(
                "with L2 more test images are read (difference of the accuracies)",
                lambda m: m["l2/accuracy"] - m["none/accuracy"],
                at_least=0,
            ),
            fdl.Claim(
                "with dropout about as many, after that long (difference)",
                lambda m: m["dropout/accuracy"] - m["none/accuracy"],
                at_least=-0.04,
                at_most=0.04,
            ),
        ],
    )


def with_noise(data, config):
    """Draws that share of the labels anew, the same ones for every seed."""
    rng = np.random.default_rng(0)
    labels = data["label"]
    wrong = rng.random(len(labels)) < config.noise
    drawn = rng.integers(10, size=len(labels)).astype(labels.dtype)
    return {**data, "label": np.where(wrong, drawn, labels)}
