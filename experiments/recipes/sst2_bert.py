"""Tell good films from bad ones by a sentence of a review, with a fine-tuned BERT.

fdl train recipes/sst2_bert --config.weights=DIR
fdl train recipes/sst2_bert --config.weights=DIR --config.data=glue/sst2 \\
    --config.column=sentence --config.test=validation

DIR has bert-base-uncased, as Hugging Face lays it out, or is
hf:google-bert/bert-base-uncased, of the hub; see docs/models.md. By default
training is on the 6,920 sentences of SST-2; GLUE's 67,349 phrases are a data set of
TFDS, which has to be prepared there first, and whose test has no labels.

Hyperparameters are those of Devlin et al., A.3: 32 texts in a batch, 3 epochs, 2e-5
(the least of its four rates, of which the best of the validation counts), dropout 0.1;
of the pretraining, A.2: Adam with 0.9, 0.999 and weight decay 0.01, linear decay. A
tenth of the steps are warmup, and gradients are clipped at 1, as in their code, whose
decay begins with the first step, here with the end of the warmup. It has 93.5 % of
GLUE's test there; it was not trained here.

References:
  Devlin et al., `BERT: Pre-training of Deep Bidirectional Transformers for Language
  Understanding <https://arxiv.org/abs/1810.04805>`_, 2018.
"""

from typing import Any, Literal

from ml_collections import ConfigDict

import fdl
from fdl.data import preprocessing
from fdl.data.splits import Splits
from fdl.data.text import tokenizers
from fdl.errors import UserError
from fdl.experiment import tasks

CLASSES = ("negative", "positive")


def get_config(size: Literal["full", "smoke"] = "full") -> ConfigDict:
    """Config of the experiment: sizes, rates and periods."""
    small = size == "smoke"
    config = ConfigDict()
    config.num_epochs = 3
    config.log_every = 50
    config.eval_every = "1 epoch"
    config.save_every = "1 epoch"
    config.best = "max accuracy"

    config.weights = ""  # Folder of a published BERT, or hf:NAME.
    config.from_nothing = small  # A small one in its place.
    config.data = "sst2"
    config.column = "text"
    config.test = "test"
    config.num_examples = 64 if small else 100_000  # Of a split, at most.
    config.max_length = 16 if small else 128
    config.batch_size = 32
    config.dropout = 0.1
    config.optimizer = {
        "name": "adamw",
        "learning_rate": 2e-5,
        "schedule": "linear",
        "warmup": 0.1,
        "eps": 1e-6,
        "weight_decay": 0.01,
        "clip_by_global_norm": 1.0,
    }
    return config


def build(config: ConfigDict) -> fdl.Experiment:
    """Experiment of a config."""
    splits = fdl.data.load_splits(config.data, test=config.test)
    some, column = slice(config.num_examples), config.column
    splits = Splits(
        *({"text": x[column][some], "label": x["label"][some]} for x in splits)
    )
    start = from_nothing(splits.train["text"]) if config.from_nothing else read(config)
    inputs = preprocessing.text(
        start.tokenizer, config.max_length, begin="cls", end="sep"
    )
    experiment = fdl.experiment.supervised(
        config,
        fdl.data.encode_splits(splits, inputs),
        inputs,
        start.model.module.clone(pad_token=start.tokenizer.special["pad"]),
        tasks.classification(classes=CLASSES),
        variables=start.variables or None,
    )
    return experiment._replace(weights=start.digests)


def read(config: ConfigDict) -> fdl.models.Published:
    """Published BERT with a new head."""
    if not config.weights:
        raise UserError("config.weights='': expected a published BERT")
    return fdl.models.from_source(
        config.weights,
        architecture="BertForSequenceClassification",
        allow=("params/head/*", "cls.*"),
        num_classes=len(CLASSES),
        dropout=config.dropout,
    )


def from_nothing(texts: Any) -> fdl.models.Published:
    """Small BERT that has learnt nothing."""
    special = ["pad", "unk", "cls", "sep"]
    tokenizer = tokenizers.wordpiece(texts, 300, special, lowercase=True)
    size = {"vocab_size": tokenizer.vocab_size, "num_classes": len(CLASSES)}
    module = fdl.models.bert_tiny(**size)
    return fdl.models.Published(fdl.models.functional(module), {}, tokenizer)
