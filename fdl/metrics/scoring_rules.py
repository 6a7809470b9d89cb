"""How good the probabilities are that a classifier gives."""

import jax
import jax.numpy as jnp

from fdl.metrics.accuracy import mean
from fdl.metrics.decisions import check_float, decide
from fdl.types import Array, Mean


def log_loss(logits: Array, labels: Array, mask: Array | None = None) -> Mean:
    """The mean negative log-probability of the labels, −Σ wᵢ log p(yᵢ) / Σ wᵢ.

    Args:
      logits: Float [B, ..., C]; or float [B, ...], the logit of class 1 of two, for one
        label or several.
      labels: Class indices, int [B, ...].
      mask: Weights, [B, ...].

    Raises:
      UserError: The shapes do not fit, or `logits` are no floats.

    Example:
      >>> log_loss(jnp.zeros((3, 10)), jnp.array([0, 5, 9])).compute()
      Array(2.302585, dtype=float32)
    """
    log_probs, actual, valid = log_probabilities(logits, labels)
    label = jnp.clip(actual, 0, log_probs.shape[-1] - 1)[..., None]
    losses = -jnp.take_along_axis(log_probs, label, axis=-1).squeeze(-1)
    return mean(jnp.where(valid, losses, jnp.nan), mask)


def brier_score(logits: Array, labels: Array, mask: Array | None = None) -> Mean:
    """The mean squared error of the probabilities, Σᵢ wᵢ Σₖ (pᵢₖ − [yᵢ = k])² / Σ wᵢ.

    It lies between 0 and 2; of two classes, half of it is taken, (p − y)², between 0
    and 1, as is customary.

    Args:
      logits: Float [B, ..., C]; or float [B, ...], the logit of class 1 of two, for one
        label or several.
      labels: Class indices, int [B, ...].
      mask: Weights, [B, ...].

    Raises:
      UserError: The shapes do not fit, or `logits` are no floats.

    References:
      Brier, `Verification of Forecasts Expressed in Terms of Probability
      <https://doi.org/10.1175/1520-0493(1950)078%3C0001:VOFEIT%3E2.0.CO;2>`_, 1950.
    """
    log_probs, actual, valid = log_probabilities(logits, labels)
    num_classes = log_probs.shape[-1]
    errors = jnp.exp(log_probs) - jax.nn.one_hot(actual, num_classes)
    scores = jnp.square(errors).sum(axis=-1) / (2 if num_classes == 2 else 1)
    return mean(jnp.where(valid, scores, jnp.nan), mask)


def log_probabilities(logits: Array, labels: Array) -> tuple[Array, Array, Array]:
    """Log-probabilities, labels, and whether they are valid.

    Args:
      logits: Float [B, ..., C], or float [B, ...].
      labels: Class indices, int [B, ...].

    Returns:
      Float32 [B, ..., C], int32 [B, ...] and bool [B, ...]; for one logit each, of two
      classes.

    Raises:
      UserError: The shapes do not fit, or `logits` are no floats.
    """
    logits = jnp.asarray(logits)
    check_float(logits)
    _, actual, valid, _ = decide(logits, labels)
    logits = logits.astype(jnp.float32)
    if logits.ndim == actual.ndim:
        two = [jax.nn.log_sigmoid(-logits), jax.nn.log_sigmoid(logits)]
        return jnp.stack(two, axis=-1), actual, valid
    return jax.nn.log_softmax(logits), actual, valid
