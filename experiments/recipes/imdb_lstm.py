"""Tell good films from bad ones by a review of IMDB, with two bidirectional LSTMs.

fdl train recipes/imdb_lstm

``imdb_reviews`` is a data set of TFDS, of 25,000 reviews for training and as many for
testing, which has to be prepared there first; see docs/data.md.

Hyperparameters are those of Keras' example: the 20,000 most frequent words, 200 of a
review, embeddings of 128, two bidirectional LSTMs of 64 units, Adam with 0.001, 32
reviews in a batch, 2 epochs. After 10 epochs it is said to have 0.878; it was not
trained here.

What differs: of a long review the beginning is read, there the end; padding is not
read; there are two outputs, there one; the last tenth of the training reviews is for
validation.

References:
  Maas et al., `Learning Word Vectors for Sentiment Analysis
  <https://aclanthology.org/P11-1015/>`_, 2011.

  `Keras' example <https://keras.io/examples/nlp/bidirectional_lstm_imdb/>`_.
"""

from typing import Literal

from ml_collections import ConfigDict

import fdl
from fdl.data.splits import Splits
from fdl.data.text import tokenizers

CLASSES = ("negative", "positive")


def get_config(size: Literal["full", "smoke"] = "full") -> ConfigDict:
    """Config of the experiment: sizes, rates and periods."""
    small = size == "smoke"
    config = ConfigDict()
    config.num_epochs = 2
    config.log_every = 100
    config.eval_every = "1 epoch"
    config.save_every = "1 epoch"
    config.best = "max accuracy"

    # Sentences of SST-2 in place of reviews, where they are enough.
    config.data = "sst2" if small else "imdb_reviews"
    config.num_examples = 64 if small else 25_000  # Of a split, at most.
    config.vocab_size = 20_000
    config.max_length = 16 if small else 200
    config.word_dropout = 0.0
    config.baseline = False
    config.batch_size = 32
    config.model = {
        "name": "RNNClassifier",
        "hidden_size": 8 if small else 64,
        "num_layers": 2,
        "bidirectional": True,
        "embedding_size": 128,
    }
    config.optimizer = {"name": "adam", "learning_rate": 1e-3}
    return config


def build(config: ConfigDict) -> fdl.Experiment:
    """Experiment of a config."""
    splits = fdl.data.load_splits(config.data)
    some = slice(config.num_examples)
    splits = Splits(*({name: x[some] for name, x in part.items()} for part in splits))
    tokenizer = tokenizers.words(
        splits.train["text"],
        ["unk", "pad"],
        vocab_size=config.vocab_size,
        lowercase=True,
    )
    # The size of the config, so that parameters do not depend on the data.
    network = fdl.make(
        fdl.models,
        config.model,
        num_classes=len(CLASSES),
        vocab_size=config.vocab_size,
        pad_token=tokenizer.special["pad"],
    )
    return fdl.experiment.text_classification(
        config, splits, tokenizer, network, classes=CLASSES
    )
