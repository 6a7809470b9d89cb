"""Autoregressive language modelling."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from fdl import losses
from fdl import metrics as measures
from fdl.errors import UserError, check_parameters, check_type
from fdl.losses.label_weights import is_label
from fdl.objectives import supervised
from fdl.objectives.supervised import Loss, MetricFunctions
from fdl.types import Array, Batch, Metrics, Model, Objective

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
    chunk_size: int | None = None,
) -> Objective:
    """Language modelling: mean cross-entropy of each token given those before it.

    Of the tokens of a batch, int [B, T + 1], all but the last are the inputs, and all
    but the first the targets. Targets have the weight zero that are padding, that the
    batch's ``mask`` leaves out, float [B] of texts or [B, T + 1] of tokens, or its
    ``answer``, float [B, T + 1], one for tokens of answers and zero for those of
    prompts, see `fdl.data.text.pack_answers`; or that lie in another segment than their
    input, if the batch has ``segments``, int [B, T + 1],
    zero at padding: of several texts packed into a row, none is predicted from another.
    If no target counts, the loss to minimise is zero, and the metrics are NaN.

    The logits of all tokens are kept once, with their gradient beside them; the metrics
    keep none. Of GPT-2 small, four texts of 1024 tokens have logits of 785 MiB in
    float32, and the gradient of all parameters needs 1,775 MiB besides the parameters,
    but 1,159 MiB with a ``chunk_size`` of 128; in bfloat16, 2,119 and 1,417 MiB (as
    XLA's CPU compiler reports it, which multiplies in float32, of rematerialised and
    scanned layers).

    The model is given the ``segments`` of the inputs, and ``reset``, bool [B], where a
    batch has them: truncated backpropagation starts anew in these rows.

    Args:
      model: Model of token ids, int [B, T], to the logits of the next ones, float
        [B, T, V].
      tokens: Name of the token ids in a batch.
      pad_token: Token id of padding; no target. Default: none.
      loss: Function of logits and targets to one loss per target.
      metrics: Further metrics by name: functions of logits [B, T, V], targets [B, T]
        and a mask, float [B, T]; with ``chunk_size``, of the tokens of a chunk, [N, V],
        [N] and [N].
      chunk_size: Number of tokens of each row whose logits are computed at a time, and
        once more in the backward pass. The model then needs an argument
        ``return_features`` and a method ``logits``, as the language models of the zoo
        have. Default: all.

    Returns:
      An objective with the metrics ``loss``, in nats per token, and, by default,
      ``perplexity`` and ``accuracy``.

    Raises:
      UserError: The size of a chunk is none.
      UserError: When the objective is called: there are fewer than two tokens in a row,
        or the mask or the segments have another shape.
    """
    check_type("model", model, Model, "fdl.models.functional(module)")
    check_parameters("loss", loss, "outputs, labels")
    if chunk_size is not None and chunk_size < 1:
        raise UserError(f"chunk_size={chunk_size}: expected at least one token")

    def measure(logits, targets, weights):
        mean_loss = measures.mean(loss(logits, targets), weights)
        logits = jax.lax.stop_gradient(logits)
        return supervised.metrics_of(mean_loss, metrics, logits, targets, weights)

    def objective(variables, batch, key=None, *, train=False):
        inputs, targets, weights, options = shifted(batch, tokens, pad_token)
        apply = partial(model.apply, variables, inputs, key=key, train=train, **options)
        if chunk_size is None:
            logits, model_state = apply()
            monitored = measure(logits, targets, weights)
        else:
            features, model_state = apply(return_features=True)

            def measure_chunk(features, targets, weights):
                logits, _ = model.apply(variables, features, method="logits")
                return measure(logits, targets, weights)

            arrays = features, targets, weights
            monitored = sum_of_chunks(measure_chunk, chunk_size, *arrays)
        return supervised.to_minimise(monitored["loss"]), (model_state, monitored)

    return objective


def sum_of_chunks(
    measure: Callable[..., Metrics], chunk_size: int, *arrays: Array
) -> Metrics:
    """Metrics of tokens, a chunk at a time, with rematerialisation.

    Chunks are cut from each row, so that rows may be shared among devices.

    Args:
      measure: Function of the tokens of a chunk, [N, ...], to metrics.
      chunk_size: Number of tokens of a row in a chunk.
      *arrays: Arrays [B, T, ...], zero where tokens do not count.
    """
    batch_size, length = arrays[0].shape[:2]
    num_chunks = -(-length // chunk_size)
    padding = num_chunks * chunk_size - length

    def split(x):
        x = jnp.pad(x, [(0, 0), (0, padding)] + [(0, 0)] * (x.ndim - 2))
        x = x.reshape(batch_size, num_chunks, chunk_size, *x.shape[2:])
        return jnp.moveaxis(x, 1, 0).reshape(num_chunks, -1, *x.shape[3:])

    chunks = [split(x) for x in arrays]
    # The logits of a chunk are not kept for the backward pass. In a scan, nothing that
    # is computed anew can be merged with what was there before.
    measure = jax.checkpoint(measure, prevent_cse=False)

    def add(sums, chunk):
        return jax.tree.map(jnp.add, sums, measure(*chunk)), None

    shapes = jax.eval_shape(measure, *(x[0] for x in chunks))
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    return jax.lax.scan(add, zeros, chunks)[0]


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
    weights = counts.astype(jnp.float32)
    for name in ("mask", "answer"):
        weights = supervised.masked(weights, batch.get(name))
    weights = weights[:, 1:]
    # A target that does not count may be no token at all, whose loss would be NaN.
    targets = jnp.where(weights == 0, 0, ids[:, 1:])
    return ids[:, :-1], targets, weights, options
