"""Translate English into German with the Transformer of 2017, base or big: WMT14.

fdl train recipes/wmt14_transformer --config.data.path=DIR
fdl train recipes/wmt14_transformer:big --config.data.path=DIR
fdl show recipes/wmt14_transformer:big --config.data.path=DIR --tflops 100

DIR has ``train.en``, ``train.de``, ``validation.*`` and ``test.*``, a sentence in each
line: the 4.5 million pairs of WMT14, newstest2013 and newstest2014. The paper has 27.3
BLEU for base and 28.4 for big; neither was trained here.

Hyperparameters are those of the paper: sizes of table 3; about 25,000 tokens of each
side in a batch, and a joint vocabulary of about 37,000 (5.1); steps (5.2); Adam and the
learning rate (5.3); dropout and label smoothing (5.4); beams of 4, α 0.6, 50 tokens
more than the source (6.1). Averaged are the last 5 or 20 checkpoints, written every 10
minutes (6.1): of 100,000 steps in 12 hours each 1,389th, of 300,000 in 3.5 days each
595th. Layers are post-norm, as in the paper.

The size ``eighth`` is base at an eighth of its width, on Multi30k, for 200 steps.

References:
  Vaswani et al., `Attention Is All You Need <https://arxiv.org/abs/1706.03762>`_, 2017.
"""

from typing import Literal

from ml_collections import ConfigDict

import fdl
from fdl.data.text import read_parallel, tokenizers
from fdl.errors import UserError
from fdl.optim.schedules.warmup import noam_peak

STEPS = {"base": 100_000, "big": 300_000, "eighth": 200, "smoke": 2}
WARMUP = {"base": 4000, "big": 4000, "eighth": 400, "smoke": 1}
# Number of averaged checkpoints, and the steps between them.
AVERAGED = {"base": (5, 1389), "big": (20, 595), "eighth": (5, 10), "smoke": (1, 1)}


def get_config(
    size: Literal["base", "big", "eighth", "smoke"] = "base",
) -> ConfigDict:
    """Config of the experiment: sizes, rates and periods."""
    small = size in ("eighth", "smoke")
    width = 64 if small else {"base": 512, "big": 1024}[size]
    count, every = AVERAGED[size]
    config = ConfigDict()
    config.num_steps = STEPS[size]
    config.log_every = 50 if small else 100
    config.eval_every = 100 if small else 5000
    config.save_every = 100 if small else 1000
    config.steps_per_call = 1
    config.best = "min loss"

    config.data = {"path": "", "source": "en", "target": "de"}
    if small:
        config.data.path = "multi30k"
    config.vocab_size = {"eighth": 4000, "smoke": 300}.get(size, 37_000)
    config.max_length = 256
    config.batch_tokens = {"eighth": 2048, "smoke": 256}.get(size, 25_000)
    config.num_buckets = 1 if size == "smoke" else 2 if small else 16
    config.label_smoothing = 0.1
    config.beam = {"num_beams": 4, "alpha": 0.6, "max_extra": 50}
    config.model = {
        "name": "Transformer",
        "num_layers": 1 if size == "smoke" else 6,
        "num_heads": 16 if size == "big" else 8,
        "hidden_size": width,
        "mlp_size": 4 * width,
        "dropout": 0.3 if size == "big" else 0.1,
        "pre_norm": False,
        "scan_layers": True,
    }
    config.optimizer = {
        "name": "adam",
        "b1": 0.9,
        "b2": 0.98,
        "eps": 1e-9,
        "learning_rate": noam_peak(width, WARMUP[size]),
        "schedule": {"name": "inverse_sqrt", "warmup": WARMUP[size]},
        "swa": config.num_steps - (count - 1) * every,
        "swa_every": every,
    }
    return config


def build(config: ConfigDict) -> fdl.Experiment:
    """Experiment of a config."""
    names = config.data.source, config.data.target
    if not config.data.path:
        raise UserError(
            "config.data.path='': expected a folder with "
            f"train.{names[0]}, train.{names[1]}, validation.* and test.*"
        )
    if config.data.path == "multi30k":
        texts = fdl.data.load_splits("multi30k", train="train", validation="validation")
        # What has learnt so little translates into sentences without an end.
        few = {name: sentences[:50] for name, sentences in texts.test.items()}
        texts = texts._replace(test=few)
    else:
        texts = read_parallel(config.data.path, names)
    both = [text for name in names for text in texts.train[name]]
    tokenizer = tokenizers.byte_pair(both, config.vocab_size, ["pad", "bos", "eos"])
    return fdl.experiment.translation(
        config,
        texts,
        *(fdl.experiment.Side(name, tokenizer) for name in names),
        # The size of the config, so that parameters do not depend on the data.
        fdl.make(fdl.models, config.model, vocab_size=config.vocab_size),
    )
