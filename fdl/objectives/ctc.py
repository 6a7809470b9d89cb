"""Labelling of unsegmented sequences by connectionist temporal classification."""

from typing import Any

import jax.numpy as jnp

from fdl import losses
from fdl import metrics as measures
from fdl.errors import UserError, check_type
from fdl.losses.label_weights import is_label
from fdl.objectives import supervised
from fdl.types import Model, Objective


def ctc(
    model: Model,
    *,
    inputs: str = "features",
    labels: str = "labels",
    lengths: str | None = None,
    blank: int = 0,
    pad_label: int = -1,
) -> Objective:
    """Connectionist temporal classification: mean of `losses.ctc` over sequences.

    A sequence with too few frames for its labels has an infinite loss, which is seen in
    the metrics, and no gradient. If the batch's ``mask``, float [B], keeps no sequence,
    the loss to minimise is zero, and the metrics are NaN.

    Args:
      model: Model of inputs [B, T, ...] to logits of each frame, float [B, T, C]. With
        ``lengths`` it is given a ``mask`` of the frames, bool [B, T].
      inputs: Name of the inputs in a batch.
      labels: Name of the class indices in a batch, int [B, N].
      lengths: Name of the numbers of frames in a batch, int [B]. Default: all frames
        count.
      blank: Class index of the blank.
      pad_label: Label that follows the labels of shorter sequences.

    Returns:
      An objective with the metrics ``loss``, in nats per sequence, and
      ``label_error_rate``, the edit distance of greedy decoding by the number of
      labels.

    Raises:
      UserError: When the objective is called: an array has another shape.
    """
    check_type("model", model, Model, "fdl.models.functional(module)")

    def objective(variables, batch, key=None, *, train=False):
        values, targets = (supervised.take(batch, name) for name in (inputs, labels))
        frames = None
        options: dict[str, Any] = {}
        if lengths is not None:
            steps = jnp.arange(values.shape[1])[None]
            frames = steps < supervised.take(batch, lengths)[:, None]
            options["mask"] = frames
        logits, model_state = model.apply(
            variables, values, key=key, train=train, **options
        )
        if frames is not None and logits.shape[:2] != frames.shape:
            raise UserError(
                f"logits.shape={list(logits.shape)}: expected {[*frames.shape]} and "
                f"classes, one frame for each of {inputs}"
            )
        present = ~is_label(targets, pad_label)
        mask = batch.get("mask")
        loss = losses.ctc(logits, targets, mask=frames, label_mask=present, blank=blank)
        mean_loss = measures.mean(loss, mask)
        predicted, found = losses.ctc_greedy(logits, mask=frames, blank=blank)
        error_rate = measures.label_error_rate(
            predicted, targets, mask, predicted_mask=found, actual_mask=present
        )
        monitored = {"loss": mean_loss, "label_error_rate": error_rate}
        return supervised.to_minimise(mean_loss), (model_state, monitored)

    return objective
