"""Rows of symbols and their answers, as a language model is trained on."""

import numpy as np

import fdl
from fdl import models
from fdl.experiment import sequence_task


def test_the_answer_follows_the_separator_and_alone_is_learnt():
    config = fdl.config.base()
    sizes = {"length": 3, "num_symbols": 5, "batch_size": 4, "num_test": 6}
    config.update({"num_steps": 1, "optimizer": {}, **sizes})
    network = models.RNNLanguageModel(2, vocab_size=6)
    experiment = sequence_task(config, lambda symbols: symbols[::-1] + 0, network)
    batches = experiment.batches
    batch = batches.take(batches.data, next(batches.stream(0)))
    tokens, labels = np.asarray(batch["tokens"]), np.asarray(batch["label"])
    symbols = tokens[:, :3]
    assert symbols.min() >= 0 and symbols.max() < 5
    np.testing.assert_array_equal(tokens[:, 3], 5)
    np.testing.assert_array_equal(tokens[:, 4:], symbols[:, :0:-1])
    np.testing.assert_array_equal(labels[:, :3], -1)
    np.testing.assert_array_equal(labels[:, 3:], symbols[:, ::-1])
