"""Write like Shakespeare, character by character, with a GPT: nanoGPT's settings.

fdl train experiments/text/shakespeare_gpt.py
fdl train shakespeare_gpt:gpu
fdl generate runs/shakespeare_gpt-... --prompt "ROMEO:"

1.782 ± 0.006 nats per character (2.57 bits) of all windows of the last tenth of the
text (mean ± standard error of the seeds 0 to 4; worst 1.797). N-grams of order 1 to 6
have 3.35, 2.49, 2.05, 1.77, 1.67 and 1.70 there, given more than the 32 characters that
a window of 64 has on average. All five seeds take 20 minutes of processor time on two
CPU cores, beside other work.

All but the learning rate is nanoGPT's setting for CPUs. With its own, 0.001, the loss
is 1.919 here, and 1.908 in PyTorch, of the same windows; the 1.88 of its README are
those of twenty random batches.

The setting for GPUs, of 10.7 million parameters, reaches 1.4697 there; it was not run
here.

References:
  Karpathy, `nanoGPT <https://github.com/karpathy/nanoGPT>`_, 2022.
"""

from functools import partial
from typing import Literal

from ml_collections import ConfigDict

import fdl
from fdl.data.text import tokenizers


def get_config(size: Literal["cpu", "gpu", "smoke"] = "cpu") -> ConfigDict:
    """Config of the experiment: sizes, rates and periods."""
    config = ConfigDict()
    config.num_steps = {"cpu": 2000, "gpu": 5000, "smoke": 2}[size]
    config.log_every = 100
    config.eval_every = 500
    config.save_every = 500
    config.steps_per_call = 50
    config.best = "min loss"

    config.length = 256 if size == "gpu" else 64
    config.batch_size = 64 if size == "gpu" else 12
    config.model = {"name": "nanogpt_char" if size == "gpu" else "nanogpt_baby"}
    config.optimizer = {
        "name": "adamw",
        "learning_rate": 1e-3 if size == "gpu" else 3e-3,
        "schedule": {"name": "cosine", "end": 0.1},
        "warmup": 0.02 if size == "gpu" else 0.05,
        "b2": 0.99,
        "weight_decay": 0.1,
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
        fdl.make(fdl.models, config.model, vocab_size=size, max_length=config.length),
        claims=[
            fdl.Claim(
                "as good as nanoGPT's README has it, 1.88 nats",
                lambda metrics: metrics["loss"],
                at_most=1.88,
            )
        ],
    )
    if config.ngrams:
        return fdl.experiment.with_ngrams(experiment, tokens, size)
    return experiment
