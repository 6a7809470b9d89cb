"""Supervised learning of yes or no."""

import jax.numpy as jnp

from fdl import losses
from fdl import metrics as measures
from fdl.objectives import supervised
from fdl.objectives.supervised import Loss, Measures
from fdl.types import Model, Objective

WATCHED: Measures = {"accuracy": measures.accuracy}


def binary_classification(
    model: Model,
    *,
    inputs: str = "image",
    labels: str = "label",
    loss: Loss = losses.binary_cross_entropy,
    ignore: int | None = None,
    metrics: Measures = WATCHED,
) -> Objective:
    """Say yes or no: mean binary cross-entropy of the labels.

    One answer for each example, or several that do not exclude each other
    (multi-label); the mean is over all of them that count. Where none does, the loss
    to minimise is zero, and the metrics are NaN.

    Args:
      model: Maps inputs [B, ...] to log-odds of yes, float [B, 1]; of several labels,
        [B, L].
      inputs: Name of the inputs in a batch.
      labels: Name of the answers in a batch, 0 or 1, [B] or [B, L]; they may be the
        probability of yes, float, of which metrics see whether it is at least ½.
      loss: Of logits and labels, one number per label; say `losses.hinge` or
        ``partial(losses.binary_cross_entropy, positive_weight=3.0)``.
      ignore: A label that does not count, say -1 where the answer is not known.
      metrics: What to watch beside the loss: functions of logits [B] or [B, L], labels
        of the same shape and mask, float [B] (or [B, L] where labels are ignored), or
        None.

    Returns:
      An objective that watches ``loss`` and the metrics, by default ``accuracy``: the
      share of all answers that are right.
    """

    def objective(variables, batch, key=None, *, train=False):
        outputs, model_state = model.apply(
            variables, supervised.take(batch, inputs), key=key, train=train
        )
        answers, mask = supervised.take(batch, labels), batch.get("mask")
        logits = supervised.align(outputs, answers)
        answers, mask = supervised.without(ignore, answers, mask)
        error = measures.mean(loss(logits, answers), mask)
        if jnp.issubdtype(answers.dtype, jnp.floating):
            answers = (answers >= 0.5).astype(jnp.int32)
        watched = supervised.watch(error, metrics, logits, answers, mask)
        return supervised.to_minimise(error), (model_state, watched)

    return objective
