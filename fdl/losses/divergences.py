"""Divergences between distributions: Kullback-Leibler and distillation."""

import jax
import jax.numpy as jnp
import optax

from fdl.errors import UserError
from fdl.losses.arguments import check_pair
from fdl.losses.half_precision import at_least_float32
from fdl.types import Array


def kl_divergence(log_predictions: Array, targets: Array) -> Array:
    """Kullback-Leibler divergence, KL(p ‖ q) = Σ_c p(c) (log p(c) − log q(c)), in nats.

    Terms with p(c) = 0 are zero.

    Args:
      log_predictions: Log-probabilities log q, as `jax.nn.log_softmax` returns them,
        float [..., C].
      targets: Probabilities p, float [..., C].

    Returns:
      The divergence of each example, float32 [...]; infinite where q(c) = 0 < p(c) for
      some class.

    Example:
      >>> kl_divergence(jnp.log(jnp.array([0.5, 0.5])), jnp.array([1.0, 0.0]))
      Array(0.6931472, dtype=float32)

    References:
      Kullback and Leibler, `On Information and Sufficiency
      <https://doi.org/10.1214/aoms/1177729694>`_, 1951.
    """
    check_pair("targets", targets, "log_predictions", log_predictions)
    log_predictions = at_least_float32(log_predictions)
    targets = at_least_float32(targets)
    # 0 · log q would be NaN where log q is −∞, and so would its gradient.
    log_predictions = jnp.where(targets == 0, 0, log_predictions)
    return optax.kl_divergence(log_predictions, targets)


def distillation(
    logits: Array, teacher_logits: Array, *, temperature: float = 1.0
) -> Array:
    """Knowledge distillation loss, T² KL(softmax(teacher / T) ‖ softmax(student / T)).

    A higher temperature gives more weight to the small probabilities of the teacher.
    The factor T² keeps the scale of the gradients. Gradients flow into the teacher as
    well: apply `jax.lax.stop_gradient` if it is trained along with the student.

    Args:
      logits: Logits of the student, float [..., C].
      teacher_logits: Logits of the teacher, float [..., C].
      temperature: Temperature T, positive.

    Returns:
      The loss of each example, float32 [...].

    Raises:
      UserError: The temperature is not positive.

    References:
      Hinton, Vinyals and Dean, `Distilling the Knowledge in a Neural Network
      <https://arxiv.org/abs/1503.02531>`_, 2015.
    """
    if not temperature > 0:
        raise UserError(f"temperature={temperature}: expected a positive number")
    check_pair("teacher_logits", teacher_logits, "logits", logits)
    student = jax.nn.log_softmax(at_least_float32(logits) / temperature)
    teacher = jax.nn.log_softmax(at_least_float32(teacher_logits) / temperature)
    # Classes that the teacher excludes contribute 1 · (0 − 0), instead of a NaN from
    # 0 · (−∞).
    possible = teacher > -jnp.inf
    divergence = optax.losses.kl_divergence_with_log_targets(
        jnp.where(possible, student, 0), jnp.where(possible, teacher, 0)
    )
    return temperature**2 * divergence
