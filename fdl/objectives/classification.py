"""Supervised learning of classes."""

from fdl import losses, metrics
from fdl.types import Model, Objective


def classification(
    model: Model, *, inputs: str = "image", labels: str = "label"
) -> Objective:
    """Say which class an example belongs to: mean cross-entropy of the labels.

    Args:
      model: Maps inputs [B, ...] to logits [B, C].
      inputs: Name of the inputs in a batch.
      labels: Name of the class indices in a batch, int [B].

    Returns:
      An objective that watches ``loss`` and ``accuracy``.
    """

    def objective(variables, batch, key=None, *, train=False):
        logits, model_state = model.apply(
            variables, batch[inputs], key=key, train=train
        )
        mask = batch.get("mask")
        loss = metrics.mean(losses.cross_entropy(logits, batch[labels]), mask)
        accuracy = metrics.accuracy(logits, batch[labels], mask)
        return loss.compute(), (model_state, {"loss": loss, "accuracy": accuracy})

    return objective
