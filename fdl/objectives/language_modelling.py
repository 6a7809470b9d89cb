"""Autoregressive language modelling."""

from typing import Any

import jax.numpy as jnp

from fdl import losses
from fdl import metrics as measures
from fdl.errors import UserError, check_parameters, check_type
from fdl.losses.label_weights import is_label
from fdl.objectives import supervised
from fdl.objectives.supervised import Loss, MetricFunctions
from fdl.types import Array, Batch, Model, Objective

DEFAULT_METRICS: MetricFunctions = {
    "perplexity": measures.perplexity,
    "accuracy": measures.accuracy,
}


def language_modelling(
    model: Model,
    *,
    tokens: str = "tokens",
    pad_token: int | None = None,
    loss: Loss = losses.cross_entropy,
    metrics: MetricFunctions = DEFAULT_METRICS,
) -> Objective:
    """Language modelling: mean cross-entropy of each token given those before it.

    Of the tokens of a batch, int [B, T + 1], all but the last are the inputs, and all
    but the first the targets. Targets have the weight zero that are padding, that the
    batch's ``mask`` leaves out, float [B] of texts or [B, T + 1] of tokens, or that lie
    in another segment than their input, if the batch has ``segments``, int [B, T + 1],
    zero at padding: of several texts packed into a row, none is predicted from another.
    If no target counts, the loss to minimise is zero, and the metrics are NaN.

    The model is given the ``segments`` of the inputs, and ``reset``, bool [B], where a
    batch has them: truncated backpropagation starts anew in these rows.

    Args:
      model: Model of token ids, int [B, T], to the logits of the next ones, float
        [B, T, V].
      tokens: Name of the token ids in a batch.
      pad_token: Token id of padding; no target. Default: none.
      loss: Function of logits and targets to one loss per target.
      metrics: Further metrics by name: functions of logits [B, T, V], targets [B, T]
        and a mask, float [B, T].

    Returns:
      An objective with the metrics ``loss``, in nats per token, and, by default,
      ``perplexity`` and ``accuracy``.

    Raises:
      UserError: When the objective is called: there are fewer than two tokens in a row,
        or the mask or the segments have another shape.
    """
    check_type("model", model, Model, "fdl.models.functional(module)")
    check_parameters("loss", loss, "outputs, labels")

    def objective(variables, batch, key=None, *, train=False):
        inputs, targets, weights, options = shifted(batch, tokens, pad_token)
        logits, model_state = model.apply(
            variables, inputs, key=key, train=train, **options
        )
        mean_loss = measures.mean(loss(logits, targets), weights)
        monitored = supervised.metrics_of(mean_loss, metrics, logits, targets, weights)
        return supervised.to_minimise(mean_loss), (model_state, monitored)

    return objective


def shifted(
    batch: Batch, tokens: str, pad_token: int | None
) -> tuple[Array, Array, Array, dict[str, Any]]:
    """Inputs, targets, their weights and the options of the model.

    Args:
      batch: Batch of token ids, int [B, T + 1], as in `language_modelling`.
      tokens: Name of the token ids.
      pad_token: Token id of padding, or None.

    Returns:
      Inputs, int [B, T], targets, int [B, T], zero where they do not count, weights,
      float32 [B, T], and keyword arguments of the model.
    """
    ids = supervised.take(batch, tokens)
    if ids.ndim != 2 or ids.shape[1] < 2:
        raise UserError(
            f"{tokens}.shape={list(ids.shape)}: expected [B, T + 1], at least two "
            "tokens in a row"
        )
    counts = jnp.ones(ids.shape, bool)
    if pad_token is not None:
        counts = ~is_label(ids, pad_token)
    options = {}
    if "segments" in batch:
        segments = batch["segments"]
        if segments.shape != ids.shape:
            raise UserError(
                f"segments.shape={list(segments.shape)}: expected {list(ids.shape)}, "
                f"as that of {tokens}"
            )
        counts &= (segments != 0) & (segments == jnp.roll(segments, 1, axis=1))
        options["segments"] = segments[:, :-1]
    if "reset" in batch:
        options["reset"] = batch["reset"]
    mask = batch.get("mask")
    weights = supervised.masked(counts.astype(jnp.float32), mask)[:, 1:]
    # A target that does not count may be no token at all, whose loss would be NaN.
    targets = jnp.where(weights == 0, 0, ids[:, 1:])
    return ids[:, :-1], targets, weights, options
