"""Classification of texts as an experiment."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import flax.linen as nn

from fdl import models, objectives
from fdl.config import make
from fdl.data import augment, preprocessing
from fdl.data.load_splits import encode_splits
from fdl.data.splits import Splits
from fdl.data.text.document_splits import warn_of_duplicates
from fdl.data.text.tokenizers import Tokenizer, words
from fdl.experiment.baselines import with_baselines
from fdl.experiment.supervised import supervised
from fdl.experiment.tasks import classification
from fdl.types import Claim, Experiment


def text_classification(
    config: Any,
    splits: Splits,
    tokenizer: Tokenizer,
    network: nn.Module,
    *,
    classes: Sequence[str] = (),
    claims: Sequence[Claim] = (),
) -> Experiment:
    """Experiment of a network that learns the classes of texts.

    Of the config it reads what `supervised` does, and ``max_length``, the number of
    tokens of a text, of which longer ones are cut; ``word_dropout``, the probability
    that a word is unknown in training; and ``baseline``, whether TF-IDF with logistic
    regression is measured as well.

    Args:
      config: Config of the experiment.
      splits: Examples with ``text``, str [N], and ``label``, int [N].
      tokenizer: Tokenizer with the special tokens ``pad`` and ``unk``.
      network: Flax module of tokens, int [B, T], to logits, float [B, C].
      classes: Names of the classes. Default: they are numbered.
      claims: Claims to test after training.

    Raises:
      UserError: A part cannot be made.

    Warns:
      DataWarning: A text for validation or testing is in training as well.
    """
    warn_of_duplicates(Splits(*(part and part["text"] for part in splits)))
    inputs = preprocessing.text(tokenizer, config.max_length)
    drop = augment.word_dropout(
        config.word_dropout, tokenizer.special["unk"], keep=[tokenizer.special["pad"]]
    )
    experiment = supervised(
        config,
        encode_splits(splits, inputs),
        inputs,
        network,
        classification(classes=classes),
        training=partial(objectives.augmented, augment=drop, inputs="tokens"),
        claims=claims,
    )
    if config.baseline:
        return with_baselines(experiment, splits, ["tfidf"], inputs="text")
    return experiment


def word_classification(
    config: Any, splits: Splits, classes: Sequence[str]
) -> Experiment:
    """Experiment of a network of the zoo that learns the classes of texts by words.

    Words are in lower case, and those that occur once in training are unknown. Of the
    config it reads what `text_classification` does, and ``model``, the name and the
    attributes of the network.

    Args:
      config: Config of the experiment.
      splits: Examples with ``text``, str [N], and ``label``, int [N].
      classes: Names of the classes.

    Raises:
      UserError: A part cannot be made.
    """
    tokenizer = words(splits.train["text"], ["unk", "pad"], min_count=2, lowercase=True)
    network = make(
        models,
        config.model,
        num_classes=len(classes),
        vocab_size=tokenizer.vocab_size,
        pad_token=tokenizer.special["pad"],
    )
    return text_classification(config, splits, tokenizer, network, classes=classes)
