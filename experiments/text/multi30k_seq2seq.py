"""Translate English into German with a recurrent network that attends, or does not.

fdl train experiments/text/multi30k_seq2seq.py
fdl train multi30k_seq2seq:no_attention

BLEU of test_2016_flickr is 37.6 and chrF 62.5 with attention, 29.5 and 53.5 without
(seed 0; sacrebleu, 13a, cased, beam 4), after 4,500 steps and about 65 and 47 minutes
of processor time.

References:
  Bahdanau, Cho and Bengio, `Neural Machine Translation by Jointly Learning to Align and
  Translate <https://arxiv.org/abs/1409.0473>`_, 2014.
  Sutskever, Vinyals and Le, `Sequence to Sequence Learning with Neural Networks
  <https://arxiv.org/abs/1409.3215>`_, 2014.
"""

from typing import Literal

from ml_collections import ConfigDict

import fdl
from fdl.data.text import tokenizers


def get_config(
    size: Literal["attention", "no_attention", "smoke"] = "attention",
) -> ConfigDict:
    """Config of the experiment: sizes, rates and periods."""
    config = ConfigDict()
    small = size == "smoke"
    config.num_steps = 2 if small else 4500
    config.log_every = 100
    config.eval_every = 500
    config.save_every = 500
    config.best = "min loss"

    config.vocab_size = 300 if small else 4000
    config.max_length = 128 if small else 66
    config.batch_tokens = 256 if small else 2048
    config.num_buckets = 1 if small else 6
    config.num_pairs = 20 if small else 29_000  # Of a split, at most.
    config.label_smoothing = 0.1
    config.num_translated = 0
    config.beam = {"num_beams": 4, "alpha": 0.6, "max_extra": 50}
    config.model = {
        "name": "Seq2Seq",
        "hidden_size": 8 if small else 320,
        "embedding_size": 8 if small else 192,
        "readout_size": 4 if small else 192,
        "dropout": 0.3,
        "attention": size != "no_attention",
    }
    config.optimizer = {
        "name": "adam",
        "learning_rate": 2e-3,
        "schedule": {"name": "cosine", "end": 0.05},
        "warmup": 0.05,
        "clip_by_global_norm": 1.0,
    }
    return config


def build(config: ConfigDict) -> fdl.Experiment:
    """Experiment of a config."""
    texts = fdl.data.load_splits("multi30k", train="train", validation="validation")
    parts = ({k: x[: config.num_pairs] for k, x in part.items()} for part in texts)
    texts = type(texts)(*parts)
    both = [*texts.train["en"], *texts.train["de"]]
    tokenizer = tokenizers.byte_pair(both, config.vocab_size, ["pad", "bos", "eos"])
    network = fdl.make(fdl.models, config.model, vocab_size=tokenizer.vocab_size)
    return fdl.experiment.translation(
        config,
        texts,
        fdl.experiment.Side("en", tokenizer),
        fdl.experiment.Side("de", tokenizer),
        network,
    )
