"""Sequence-to-sequence learning: translation by teacher forcing."""

from functools import partial

import jax
import jax.numpy as jnp

from fdl import losses
from fdl import metrics as measures
from fdl.errors import UserError, check_type
from fdl.losses.half_precision import at_least_float32
from fdl.losses.label_weights import is_label
from fdl.objectives import supervised
from fdl.objectives.language_modelling import DEFAULT_METRICS, sum_of_chunks
from fdl.objectives.supervised import MetricFunctions
from fdl.types import Array, Batch, Model, Objective


def sequence_to_sequence(
    model: Model,
    *,
    source: str = "source",
    target: str = "target",
    pad_token: int,
    label_smoothing: float = 0.0,
    metrics: MetricFunctions = DEFAULT_METRICS,
    chunk_size: int | None = None,
) -> Objective:
    """Sequence-to-sequence learning: cross-entropy of target tokens, teacher forcing.

    Each token of the target is predicted from the source and the tokens before it, not
    from the model's own. Of a target, int [B, T + 1], which begins with a special token
    and ends with another, all but the last are the inputs, and all but the first the
    labels. Those have the weight zero that are padding, or that the batch's ``mask``
    leaves out, float [B] of pairs or [B, T + 1] of target tokens. The model sees no
    padding either: it is given ``source_mask`` and ``target_mask``. If no label counts,
    the loss to minimise is zero, and the metrics are NaN.

    With label smoothing, what is minimised is the metric ``smoothed_loss``; ``loss``
    and ``perplexity`` are those of the labels alone, so that models of different
    smoothing compare.

    Args:
      model: Model of source, int [B, S], and target, int [B, T], to the logits of the
        next tokens of the target, float [B, T, V], with the arguments ``source_mask``
        and ``target_mask``, bool [B, S] and [B, T]; as `Transformer` and `Seq2Seq`. The
        two sides may share their vocabulary or have one each.
      source: Name of the source in a batch.
      target: Name of the target in a batch.
      pad_token: Token id of padding on both sides; it need not be one of the model, and
        in the place of padding it is given token 0.
      label_smoothing: Share ε of the probability that is spread evenly over all V
        tokens, that of the label included.
      metrics: Further metrics by name: functions of logits [B, T, V], labels [B, T] and
        a mask, float [B, T]; with ``chunk_size``, of the tokens of a chunk, [N, V], [N]
        and [N].
      chunk_size: Number of target tokens of each row whose logits are computed at a
        time, and once more in the backward pass; see `language_modelling`. Default:
        all.

    Returns:
      An objective with the metrics ``loss``, in nats per token, with label smoothing
      ``smoothed_loss``, and, by default, ``perplexity`` and ``accuracy``.

    Raises:
      UserError: ``label_smoothing`` is no share, or the size of a chunk is none.
      UserError: When the objective is called: there are fewer than two tokens in a row
        of the target, or source and target are not of one batch.

    References:
      Sutskever, Vinyals and Le, `Sequence to Sequence Learning with Neural Networks
      <https://arxiv.org/abs/1409.3215>`_, 2014.
      Vaswani et al., `Attention Is All You Need <https://arxiv.org/abs/1706.03762>`_,
      2017, section 5.4: label smoothing.
    """
    check_type("model", model, Model, "fdl.models.functional(module)")
    if not 0 <= label_smoothing <= 1:
        raise UserError(
            f"label_smoothing={label_smoothing}: expected a share, from 0 to 1"
        )
    if chunk_size is not None and chunk_size < 1:
        raise UserError(f"chunk_size={chunk_size}: expected at least one token")

    def measure(logits, labels, weights):
        nats = losses.cross_entropy(logits, labels)
        mean_loss = measures.mean(nats, weights)
        fixed = jax.lax.stop_gradient(logits)
        of_logits = supervised.metrics_of(mean_loss, metrics, fixed, labels, weights)
        monitored = {**of_logits}
        if label_smoothing:
            # (1 − ε) log-loss + ε (cross-entropy with the uniform distribution), whose
            # log-normalisers are the same: that of many logits is computed once.
            own = jnp.take_along_axis(logits, labels[..., None], axis=-1).squeeze(-1)
            ahead = at_least_float32(own) - logits.mean(axis=-1, dtype=nats.dtype)
            smoothed = nats + label_smoothing * ahead
            monitored["smoothed_loss"] = measures.mean(smoothed, weights)
        return monitored

    def objective(variables, batch, key=None, *, train=False):
        inputs, labels, weights, masks = _pairs(batch, source, target, pad_token)
        apply = partial(model.apply, variables, *inputs, key=key, train=train, **masks)
        if chunk_size is None:
            logits, model_state = apply()
            monitored = measure(logits, labels, weights)
        else:
            features, model_state = apply(return_features=True)

            def measure_chunk(features, labels, weights):
                logits, _ = model.apply(variables, features, method="logits")
                return measure(logits, labels, weights)

            arrays = features, labels, weights
            monitored = sum_of_chunks(measure_chunk, chunk_size, *arrays)
        minimised = monitored["smoothed_loss" if label_smoothing else "loss"]
        return supervised.to_minimise(minimised), (model_state, monitored)

    return objective


def _pairs(
    batch: Batch, source: str, target: str, pad_token: int
) -> tuple[tuple[Array, Array], Array, Array, dict[str, Array]]:
    """Inputs of the model, labels, their weights, and the masks of the inputs."""
    sources, targets = (supervised.take(batch, name) for name in (source, target))
    if targets.ndim != 2 or targets.shape[1] < 2:
        raise UserError(
            f"{target}.shape={list(targets.shape)}: expected [B, T + 1], at least two "
            "tokens in a row"
        )
    if sources.ndim != 2 or len(sources) != len(targets):
        raise UserError(
            f"{source}.shape={list(sources.shape)}: expected [B, S], with a row for "
            f"each of the {len(targets)} of {target}"
        )
    present, is_token = (~is_label(x, pad_token) for x in (sources, targets))
    weights = supervised.masked(is_token.astype(jnp.float32), batch.get("mask"))[:, 1:]
    # A label that does not count may be no token at all, whose loss would be NaN.
    labels = jnp.where(weights == 0, 0, targets[:, 1:])
    masks = {"source_mask": present, "target_mask": is_token[:, :-1]}
    # Padding may be no token of the model.
    inputs = jnp.where(present, sources, 0), jnp.where(is_token, targets, 0)[:, :-1]
    return inputs, labels, weights, masks
