"""Write like Shakespeare, character by character, with an LSTM.

fdl train experiments/text/shakespeare_lstm.py
fdl generate runs/shakespeare_lstm-... --prompt "ROMEO:"

1.592 ± 0.003 nats per character (2.30 bits) of the last tenth of the text (mean ±
standard error of the seeds 0 to 4; worst 1.600), below 5-grams, 1.67, and below bzip2,
which needs 2.36 bits of the whole text. All five seeds take 18 minutes of processor
time on two CPU cores, beside other work.

Truncated backpropagation through time: 32 streams of the text are read 64 characters at
a time, and the state goes on from one batch to the next.
"""

from functools import partial
from typing import Literal

from ml_collections import ConfigDict

import fdl
from fdl.data.text import tokenizers


def get_config(size: Literal["full", "smoke"] = "full") -> ConfigDict:
    """Config of the experiment: sizes, rates and periods."""
    config = ConfigDict()
    config.num_steps = 2000 if size == "full" else 2
    config.log_every = 100
    config.eval_every = 500
    config.save_every = 500
    config.steps_per_call = 50
    config.best = "min loss"

    config.length = 64
    config.eval_length = 512
    config.batch_size = 32
    config.carry = True
    config.model = {
        "name": "RNNLanguageModel",
        "cell": "lstm",
        "hidden_size": 256,
        "embedding_size": 64,
    }
    config.optimizer = {
        "name": "adamw",
        "learning_rate": 5e-3,
        "schedule": {"name": "cosine", "end": 0.05},
        "warmup": 0.05,
        "weight_decay": 0.01,
        "clip_by_global_norm": 1.0,
    }
    config.sample = {"prompt": "\n", "max_tokens": 200, "temperature": 0.8}
    config.ngrams = size != "smoke"  # Whether n-gram models are measured as well.
    return config


def build(config: ConfigDict) -> fdl.Experiment:
    """Experiment of a config."""
    tokens, tokenizer = fdl.data.text.load_tokens(
        "tiny_shakespeare",
        partial(tokenizers.characters, special=["pad"]),
        validation="validation+test",  # That of nanoGPT: the last tenth.
        test=None,
    )
    size = tokenizer.vocab_size
    experiment = fdl.experiment.language_modelling(
        config,
        tokens,
        tokenizer,
        fdl.make(fdl.models, config.model, vocab_size=size),
        claims=[
            fdl.Claim(
                "at most 1.60 nats; bzip2 needs 1.63 of the whole text",
                lambda metrics: metrics["loss"],
                at_most=1.60,
            )
        ],
    )
    if config.ngrams:
        return fdl.experiment.with_ngrams(experiment, tokens, size)
    return experiment
