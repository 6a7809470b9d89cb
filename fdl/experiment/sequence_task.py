"""Sequence tasks that are made on the fly, for language models."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from fdl import data, metrics, objectives
from fdl.experiment.supervised import supervised
from fdl.experiment.tasks import Task
from fdl.types import Array, Claim, Experiment


def sequence_task(
    config: Any,
    answer: Callable[[Array], Array],
    network: nn.Module,
    *,
    claims: Sequence[Claim] = (),
) -> Experiment:
    """Experiment of a language model that answers rows of random symbols.

    A text is the symbols, a separator and the answer, of which the model predicts each
    token from those before it; the given symbols are not learnt. Exact match, beside
    the accuracy, is that of greedy decoding, though all tokens are predicted at once
    from those before them in the right answer: as long as all are right, these are
    those that it has written.

    Of the config it reads what `supervised` does, and ``length`` and ``num_symbols``,
    the number of symbols in a row and of different ones, and ``num_test``, the number
    of rows of the validation and of the test.

    Args:
      config: Config of the experiment.
      answer: ``answer(symbols)``, int [L] to int [L]; traced and vmapped.
      network: Flax module of token ids, int [B, 2 L], to logits, float [B, 2 L, V],
        with one token more than there are symbols.
      claims: Claims to test after training.
    """
    separator = jnp.array([config.num_symbols])

    def draw(key):
        symbols = jax.random.randint(key, (config.length,), 0, config.num_symbols)
        tokens = jnp.concatenate([symbols, separator, answer(symbols)])
        given = jnp.arange(len(tokens)) <= config.length
        return {"tokens": tokens[:-1], "label": jnp.where(given, -1, tokens)[1:]}

    objective = partial(
        objectives.classification,
        ignore=-1,
        metrics={"accuracy": metrics.accuracy, "exact_match": metrics.exact_match},
    )
    tokens = jax.ShapeDtypeStruct((2 * config.length,), "int32")
    return supervised(
        config,
        data.drawn_splits(draw, config.batch_size, config.num_test, config.seed),
        data.preprocessing.arrays(tokens=tokens),
        network,
        Task(objective),
        claims=claims,
    )
