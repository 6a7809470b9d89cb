"""Proper scoring rules of predicted probabilities: log loss and Brier score."""

import jax
import jax.numpy as jnp

from fdl.metrics.accuracy import mean
from fdl.metrics.decisions import check_float, decide
from fdl.types import Array, Mean


def log_loss(logits: Array, labels: Array, mask: Array | None = None) -> Mean:
    """Log loss (mean cross-entropy), −Σ wᵢ log p(yᵢ) / Σ wᵢ, in nats.

    Args:
      logits: Logits of the classes, float [B, ..., C]; or the logit of class 1 of two,
        float [B, ...], for one label or several.
      labels: Class indices, int [B, ...].
      mask: Weights, [B, ...].

    Raises:
      UserError: The shapes do not match, or `logits` are not floats.

    Example:
      >>> log_loss(jnp.zeros((3, 10)), jnp.array([0, 5, 9])).compute()
      Array(2.302585, dtype=float32)
    """
    logits = jnp.asarray(logits)
    check_float(logits)
    _, actual, valid, _ = decide(logits, labels)
    logits = logits.astype(jnp.float32)
    if logits.ndim == actual.ndim:
        # A sigmoid is a softmax over the logits 0 and z.
        logits = jnp.stack([jnp.zeros_like(logits), logits], axis=-1)
    # Invalid labels are clipped to select some class; their loss is NaN all the same.
    label = jnp.clip(actual, 0, logits.shape[-1] - 1)[..., None]
    own = jnp.take_along_axis(logits, label, axis=-1)
    # The terms of a log-softmax, of which a large vocabulary would fill the memory.
    largest = logits.max(axis=-1, keepdims=True)
    others = jnp.exp(logits - largest).sum(axis=-1)
    losses = jnp.log(others) - (own - largest).squeeze(-1)
    return mean(jnp.where(valid, losses, jnp.nan), mask)


def brier_score(logits: Array, labels: Array, mask: Array | None = None) -> Mean:
    """Brier score, Σᵢ wᵢ Σₖ (pᵢₖ − [yᵢ = k])² / Σ wᵢ.

    It is the mean squared error of the probabilities and lies between 0 and 2. For two
    classes it is half of that, (p − y)², between 0 and 1, as is customary.

    Args:
      logits: Logits of the classes, float [B, ..., C]; or the logit of class 1 of two,
        float [B, ...], for one label or several.
      labels: Class indices, int [B, ...].
      mask: Weights, [B, ...].

    Raises:
      UserError: The shapes do not match, or `logits` are not floats.

    References:
      Brier, `Verification of Forecasts Expressed in Terms of Probability
      <https://doi.org/10.1175/1520-0493(1950)078%3C0001:VOFEIT%3E2.0.CO;2>`_, 1950.
    """
    log_probs, actual, valid = log_probabilities(logits, labels)
    num_classes = log_probs.shape[-1]
    errors = jnp.exp(log_probs) - jax.nn.one_hot(actual, num_classes)
    # Both classes of two have the same squared error, which is counted once.
    scores = jnp.square(errors).sum(axis=-1) / (2 if num_classes == 2 else 1)
    return mean(jnp.where(valid, scores, jnp.nan), mask)


def log_probabilities(logits: Array, labels: Array) -> tuple[Array, Array, Array]:
    """Log-probabilities of the classes, labels, and a mask of the valid ones.

    Args:
      logits: Logits of the classes, float [B, ..., C]; or the logit of class 1 of two,
        float [B, ...].
      labels: Class indices, int [B, ...].

    Returns:
      Log-probabilities, float32 [B, ..., C], with C = 2 for a single logit; labels,
      int32 [B, ...]; and a mask, bool [B, ...].

    Raises:
      UserError: The shapes do not match, or `logits` are not floats.
    """
    logits = jnp.asarray(logits)
    check_float(logits)
    _, actual, valid, _ = decide(logits, labels)
    logits = logits.astype(jnp.float32)
    if logits.ndim == actual.ndim:
        both = [jax.nn.log_sigmoid(-logits), jax.nn.log_sigmoid(logits)]
        return jnp.stack(both, axis=-1), actual, valid
    return jax.nn.log_softmax(logits), actual, valid
