"""Pretrain a Transformer on the One Billion Word benchmark, as flax's example does.

fdl train recipes/lm1b --config.data.train=train.txt --config.data.validation=valid.txt
fdl show recipes/lm1b ... --tflops 100

The files, or folders of files, have a sentence in each line. They are tokenised once
and kept in ``config.data.folder``, by byte-pair encoding, which is learnt of the first
10 million characters.

Hyperparameters are those of flax's ``examples/lm1b``: 6 layers of 512 units, 8 heads,
2048 hidden units, a vocabulary of 30,000, rows of 128 tokens, 256 in a batch (32 on
each of 8 devices); 500,000 steps; AdamW with 0.9, 0.98, 1e-9 and weight decay 0.1;
0.0016 after 1000 steps of warmup, then by the inverse square root; dropout 0.1. It
reaches 3.127 nats there; it was not trained here.

What differs: positions are learned and the output layer is tied, as in GPT-2, where
those of flax are sinusoids and a layer of its own; rows are windows of sentences that
follow each other, there packed without the ends of others.

The size ``eighth`` is of an eighth of the width, on Multi30k's English, for 200 steps.

References:
  Chelba et al., `One Billion Word Benchmark for Measuring Progress in Statistical
  Language Modeling <https://arxiv.org/abs/1312.3005>`_, 2013.

  `Flax's example <https://github.com/google/flax/tree/main/examples/lm1b>`_.
"""

from typing import Literal

from ml_collections import ConfigDict

import fdl
from fdl.data.text import load_tokens, read_tokens, tokenizers
from fdl.errors import UserError

SPECIAL = ["pad", "eos"]


def get_config(size: Literal["full", "eighth", "smoke"] = "full") -> ConfigDict:
    """Config of the experiment: sizes, rates and periods."""
    small = size != "full"
    width = 64 if small else 512
    config = ConfigDict()
    config.num_steps = {"full": 500_000, "eighth": 200, "smoke": 2}[size]
    config.log_every = 50 if small else 100
    config.eval_every = 100 if small else 1000
    config.save_every = 100 if small else 1000
    config.steps_per_call = 1
    config.best = "min loss"

    config.data = {"train": "", "validation": "", "folder": "data"}
    if small:
        config.data.train = "multi30k"
    config.vocab_size = {"eighth": 3000, "smoke": 300}.get(size, 30_000)
    config.length = 32 if small else 128
    config.batch_size = 32 if small else 256
    config.model = {
        "name": "GPT",
        "num_layers": 1 if size == "smoke" else 6,
        "num_heads": 8,
        "hidden_size": width,
        "mlp_size": 4 * width,
        "max_length": config.length,
        "dropout": 0.1,
        "scan_layers": True,
        "dtype": None if small else "bfloat16",
    }
    config.optimizer = {
        "name": "adamw",
        "learning_rate": 5e-3 if small else 1.6e-3,
        "schedule": {"name": "inverse_sqrt", "warmup": 0.1 if small else 1000},
        "b1": 0.9,
        "b2": 0.98,
        "eps": 1e-9,
        "weight_decay": 0.1,
    }
    return config


def build(config: ConfigDict) -> fdl.Experiment:
    """Experiment of a config."""
    if config.data.train == "multi30k":
        tokens, tokenizer = load_tokens(
            "multi30k",
            lambda texts: tokenizers.byte_pair(texts, config.vocab_size, SPECIAL),
            feature="en",
            test=None,
        )
    elif not (config.data.train and config.data.validation):
        raise UserError("config.data.train, config.data.validation: expected files")
    else:
        tokens, tokenizer = read_tokens(
            config.data.train,
            config.data.validation,
            lambda texts: tokenizers.byte_pair(texts, config.vocab_size, SPECIAL),
            folder=config.data.folder,
        )
    # The size of the config, so that parameters do not depend on the data.
    network = fdl.make(fdl.models, config.model, vocab_size=config.vocab_size)
    return fdl.experiment.language_modelling(config, tokens, tokenizer, network)
