"""Fine-tune a published language model on prompts with answers, or on preferences.

fdl train text/finetune --config.weights=DIR --config.data.path=answers.jsonl
fdl train text/finetune --config.weights=DIR --config.data.path=pairs.jsonl \\
    --config.objective=preference --config.optimizer.learning_rate=5e-5
fdl generate runs/finetune-... --prompt "..."

DIR is a folder as Hugging Face lays it out, or hf:NAME@REVISION of its hub; see
docs/models.md. The file has JSON lines: {"prompt": ..., "answer": ...}, whose loss is
that of the answer alone, or {"text": ...}; for preferences {"prompt": ...,
"chosen": ..., "rejected": ...}.

With LoRA, small adapters learn beside weights in bfloat16; all weights learn, in
float32, with --config.method=all. Learning rates are of the papers' order: 2e-4 for
LoRA (Hu et al., 2021, table 11), about a tenth of it for all weights.

The smoke size without weights takes a GPT from nothing, and without data it spells
words backwards.

References:
  Hu et al., `LoRA: Low-Rank Adaptation of Large Language Models
  <https://arxiv.org/abs/2106.09685>`_, 2021.
"""

import math
import warnings
from collections.abc import Sequence
from typing import Any, Literal

import jax
import numpy as np
from ml_collections import ConfigDict

import fdl
from fdl.data import text
from fdl.data.text import tokenizers
from fdl.errors import DataWarning, UserError
from fdl.models import Published

READERS = {"answers": text.read_answers, "preference": text.read_preferences}


def get_config(size: Literal["full", "smoke"] = "full") -> ConfigDict:
    """Config of the experiment: sizes, rates and periods."""
    config = ConfigDict()
    config.num_epochs = 3 if size == "full" else 1
    config.log_every = 10
    config.eval_every = "1 epoch"
    config.save_every = "1 epoch"
    config.best = "min loss"
    config.save_model = False  # Checkpoints hold the adapters, not the base.

    config.weights = ""  # Folder of a published model, or hf:NAME@REVISION.
    config.from_nothing = size == "smoke"  # Without weights: a small GPT.
    config.data = {"path": "", "validation_fraction": 0.05}
    config.objective = "answers"  # Or preference.
    config.beta = 0.1  # Of preference.

    config.method = "lora"  # Or all.
    config.lora = {
        "rank": 8,
        "alpha": 16.0,
        "match": ("*/attention/*",),
        "dropout": 0.0,
    }
    config.length = 512 if size == "full" else 24  # Tokens of a row.
    config.batch_size = 32 if size == "full" else 8
    config.num_microbatches = 8 if size == "full" else 2
    config.chunk_size = 128 if size == "full" else 8
    config.model = {"remat": True, "scan_layers": False, "dtype": "bfloat16"}
    config.frozen_dtype = "bfloat16"  # Of the weights that do not learn.
    config.optimizer = {
        "name": "adamw",
        "learning_rate": 2e-4,
        "schedule": "cosine",
        "warmup": 0.05,
        "clip_by_global_norm": 1.0,
    }
    return config


def build(config: ConfigDict) -> fdl.Experiment:
    """Experiment of a config."""
    if config.objective not in READERS:
        raise UserError(
            f"config.objective={config.objective!r}: expected 'answers' or 'preference'"
        )
    param_dtype = config.frozen_dtype if config.method == "lora" else "float32"
    options = {**config.model, "param_dtype": param_dtype}
    if config.weights and config.data.path:
        start = from_source(config.weights, options)
    elif config.from_nothing and not config.weights:
        start = from_nothing(options)
    else:
        raise UserError(
            f"config.weights={config.weights!r}, config.data.path={config.data.path!r}:"
            " expected the folder of a published model, and a file of JSON lines; "
            "text/finetune:smoke needs neither"
        )
    if config.data.path:
        end = "eos" if "eos" in start.tokenizer.special else None
        read = READERS[config.objective]
        rows = read(config.data.path, start.tokenizer, start.begin, end)
    else:
        rows = backwards(start.tokenizer, config.objective)
    experiment = fdl.experiment.fine_tuning(
        config, start.model, start.variables, start.tokenizer, divided(config, rows)
    )
    return experiment._replace(weights=start.digests)


def from_source(source: str, options: dict[str, Any]) -> Published:
    """Published model of a folder or a hub."""
    published = fdl.models.from_source(source, dropout=0.0, **options)
    if published.tokenizer is None:
        raise UserError(f"config.weights={source!r}: expected a tokenizer.json in it")
    return published._replace(tokenizer=tokenizers.with_pad(published.tokenizer))


def from_nothing(options: dict[str, Any]) -> Published:
    """Small GPT of bytes that has learnt nothing."""
    tokenizer = tokenizers.byte_tokenizer(["pad", "bos", "eos"])
    size = tokenizer.vocab_size
    model = fdl.models.functional(
        fdl.models.GPT(1, 2, 16, vocab_size=size, max_length=24, **options)
    )
    variables = jax.jit(model.init)(jax.random.key(0))
    return Published(model, variables, tokenizer, begin="bos")


def backwards(tokenizer: tokenizers.Tokenizer, objective: str) -> list[Any]:
    """Words of three letters as prompts, with the word backwards as the answer.

    The word as it is comes second in preferences.
    """
    special, rows = tokenizer.special, []
    for i in range(100):
        word = "".join(chr(ord("a") + i * k % 26) for k in (1, 3, 7))
        prompt = np.array([special["bos"], *tokenizer.encode(word + ":")], np.int32)
        chosen, rejected = (
            text.Answer(
                prompt, np.array([*tokenizer.encode(x), special["eos"]], np.int32)
            )
            for x in (word[::-1], word)
        )
        rows.append(chosen if objective == "answers" else (chosen, rejected))
    return rows


def divided(config: ConfigDict, rows: Sequence[Any]) -> fdl.data.Splits:
    """Training and validation rows; the test is another file's."""
    answers = (
        [x for row in rows for x in row] if config.objective != "answers" else rows
    )
    cut = text.num_cut(answers, config.length)
    if cut:
        warnings.warn(
            f"{cut} of {len(answers)} texts are longer than config.length="
            f"{config.length} tokens, and cut",
            DataWarning,
            stacklevel=2,
        )
    count = math.ceil(config.data.validation_fraction * len(rows))
    if not 0 < count < len(rows):
        raise UserError(
            f"config.data.validation_fraction={config.data.validation_fraction}: "
            f"expected a part of {len(rows)} rows"
        )
    shuffled = [rows[i] for i in fdl.data.order(0, 0, len(rows))]
    return fdl.data.Splits(shuffled[count:], shuffled[:count])
