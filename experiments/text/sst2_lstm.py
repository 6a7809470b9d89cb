"""Tell good films from bad ones by a sentence of a review, with a bidirectional LSTM.

fdl train experiments/text/sst2_lstm.py

81.94 ± 0.32 % of 1,821 test sentences (mean ± standard error of the seeds 0 to 4; worst
81.05), of labels of sentences alone. No one wins: logistic regression of the TF-IDF of
words and pairs of words has 81.2 % (difference 0.8 %, 95 % interval -0.1 to 1.7). All
five seeds take 146 seconds of processor time on two CPU cores, with compiling
and the baseline.
"""

from typing import Literal

from ml_collections import ConfigDict

import fdl


def get_config(size: Literal["full", "smoke"] = "full") -> ConfigDict:
    """Config of the experiment: sizes, rates and periods."""
    config = ConfigDict()
    config.num_steps = 545 if size == "full" else 2
    config.log_every = "1 epoch"
    config.eval_every = "1 epoch"
    config.save_every = "5 epochs"
    config.steps_per_call = 109
    config.best = "max accuracy"

    config.max_length = 40
    config.word_dropout = 0.1
    config.baseline = size == "full"
    config.batch_size = 64
    config.model = {
        "name": "RNNClassifier",
        "hidden_size": 64,
        "bidirectional": True,
        "pooling": "max",
        "dropout": 0.5,
    }
    config.optimizer = {
        "name": "adamw",
        "learning_rate": 5e-3,
        "schedule": "cosine",
        "weight_decay": 0.1,
    }
    return config


def build(config: ConfigDict) -> fdl.Experiment:
    """Experiment of a config."""
    return fdl.experiment.word_classification(
        config,
        fdl.data.load_splits("sst2", train="train", validation="validation"),
        fdl.data.datasets.sst2.classes["label"],
    )
