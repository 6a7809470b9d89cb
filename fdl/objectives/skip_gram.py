"""Skip-gram with negative sampling."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fdl import losses
from fdl import metrics as measures
from fdl.errors import UserError, check_type
from fdl.objectives import supervised
from fdl.types import Model, Objective


def skip_gram(
    model: Model,
    *,
    counts: Any,
    num_negatives: int = 5,
    power: float = 0.75,
    centers: str = "center",
    contexts: str = "context",
) -> Objective:
    """Skip-gram with negative sampling, of word2vec: which words are near a word.

    Beside each word of the context, negatives are drawn in proportion to ``counts **
    power``, anew in each step, from the key and on the device. One that is the word of
    the context itself does not count.

    Args:
      model: Model of centers, int [B], and words, int [B, K], to the scores of these in
        the context of the center, float [B, K].
      counts: How often each word of the vocabulary occurs, [V].
      num_negatives: Number of words drawn for each word of the context.
      power: Exponent of the counts.
      centers: Name of the centers in a batch, int [B].
      contexts: Name of a word near each of them, int [B]; see
        `fdl.data.text.context_pairs`.

    Returns:
      An objective with the metric ``loss``, the sum over a true pair and its negatives.

    Raises:
      UserError: Counts or numbers are not valid; or, when the objective is called,
        there is no key.

    References:
      Mikolov et al., `Distributed Representations of Words and Phrases and their
      Compositionality <https://arxiv.org/abs/1310.4546>`_, 2013.
    """
    check_type("model", model, Model, "fdl.models.functional(module)")
    weights = np.asarray(counts, np.float64)
    if weights.ndim != 1 or not (weights >= 0).all() or not weights.any():
        raise UserError(f"counts={counts!r:.50}: expected counts [V], not all zero")
    if num_negatives < 1:
        raise UserError(f"num_negatives={num_negatives}: expected at least 1")
    # A word that does not occur is not drawn, whatever the power.
    weights = np.where(weights > 0, np.maximum(weights, 1e-300) ** power, 0)
    cumulative = np.cumsum(weights / weights.sum()).astype(np.float32)
    last = int(np.flatnonzero(weights)[-1])

    def objective(variables, batch, key=None, *, train=False):
        supervised.check_key(key, ", which negatives are drawn from")
        draw_key, key = jax.random.split(key)
        center = supervised.take(batch, centers)
        context = supervised.take(batch, contexts)
        uniform = jax.random.uniform(draw_key, (len(center), num_negatives))
        # Rounded, the sum of all may be a little below one.
        drawn = jnp.searchsorted(jnp.asarray(cumulative), uniform, side="right")
        drawn = jnp.minimum(drawn, last).astype(context.dtype)
        words = jnp.concatenate([context[:, None], drawn], axis=1)
        scores, model_state = model.apply(
            variables, center, words, key=key, train=train
        )
        counted = (drawn != context[:, None]).astype(scores.dtype)
        loss = losses.negative_sampling(scores[:, 0], scores[:, 1:], counted)
        mean_loss = measures.mean(loss, batch.get("mask"))
        return supervised.to_minimise(mean_loss), (model_state, {"loss": mean_loss})

    return objective
