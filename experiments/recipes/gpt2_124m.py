"""Pretrain GPT-2 small on tokens of one's own, as nanoGPT reproduces it.

fdl train recipes/gpt2_124m --config.data.train=train.bin \\
    --config.data.validation=val.bin --config.data.tokenizer=tokenizer.json
fdl show recipes/gpt2_124m ... --tflops 100

``.bin`` files are nanoGPT's, of GPT-2's tokens; any other file or folder is read as
text, tokenised once, and kept in ``config.data.folder``. tokenizer.json is GPT-2's.

Hyperparameters are those of nanoGPT's ``config/train_gpt2.py`` and ``train.py``: a
batch of 480 windows of 1024 tokens, half a million; 600,000 steps; AdamW with 0.9 and
0.95, weight decay 0.1, clipping at 1; 6e-4 after 2000 steps of warmup, cosine to 6e-5
at the end; no dropout. It reaches 2.85 nats of OpenWebText there; it was not trained
here. The loss is of all validation tokens, there of 200 random batches.

The size ``eighth`` is of an eighth of the width, on tiny Shakespeare's characters, with
windows of 128, for 200 steps.

References:
  Karpathy, `nanoGPT <https://github.com/karpathy/nanoGPT>`_, 2022.

  Radford et al., `Language Models are Unsupervised Multitask Learners
  <https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf>`_,
  2019.
"""

from functools import partial
from typing import Literal

from ml_collections import ConfigDict

import fdl
from fdl.data.text import load_tokens, read_tokens, tokenizers
from fdl.errors import UserError


def get_config(size: Literal["full", "eighth", "smoke"] = "full") -> ConfigDict:
    """Config of the experiment: sizes, rates and periods."""
    small = size != "full"
    config = ConfigDict()
    config.num_steps = {"full": 600_000, "eighth": 200, "smoke": 2}[size]
    config.log_every = 50 if small else 100
    config.eval_every = 100 if small else 1000
    config.save_every = 100 if small else 1000
    config.steps_per_call = 1
    config.best = "min loss"

    config.data = {"train": "", "validation": "", "tokenizer": "", "folder": "data"}
    if small:
        config.data.train = "tiny_shakespeare"
    config.length = 128 if small else 1024
    config.batch_size = 8 if small else 480
    config.num_microbatches = 2 if small else 40
    config.model = {
        "name": "nanogpt_124m",
        "max_length": config.length,
        "scan_layers": True,
        "remat": False,
        # In half precision: parameters, their sums and the loss stay in float32.
        "dtype": None if small else "bfloat16",
    }
    if small:
        width = {"num_layers": 12, "num_heads": 12, "hidden_size": 96}
        config.model = {**config.model.to_dict(), **width, "name": "GPT"}
        config.model.use_bias = False
    if size == "smoke":
        config.model.num_layers = 1
    config.optimizer = {
        "name": "adamw",
        "learning_rate": 6e-4 if size == "full" else 3e-3,
        "schedule": {"name": "cosine", "end": 0.1},
        "warmup": 2000 if size == "full" else 0.1,
        "b1": 0.9,
        "b2": 0.95,
        "weight_decay": 0.1,
        "clip_by_global_norm": 1.0,
    }
    return config


def build(config: ConfigDict) -> fdl.Experiment:
    """Experiment of a config."""
    if config.data.train == "tiny_shakespeare":
        tokens, tokenizer = load_tokens(
            "tiny_shakespeare",
            partial(tokenizers.characters, special=["pad"]),
            validation="validation+test",
            test=None,
        )
        size = {"vocab_size": tokenizer.vocab_size}
    else:
        data = config.data
        for name in ("train", "validation", "tokenizer"):
            if not data[name]:
                raise UserError(f"config.data.{name}='': expected a file")
        tokenizer = tokenizers.from_file(data.tokenizer, {"eos": "<|endoftext|>"})
        tokens, tokenizer = read_tokens(
            data.train,
            data.validation,
            tokenizers.with_pad(tokenizer),
            folder=data.folder,
        )
        size = {}
    network = fdl.make(fdl.models, config.model, **size)
    return fdl.experiment.language_modelling(config, tokens, tokenizer, network)
