"""How far a predicted distribution is from another one."""

import chex
import jax
import jax.numpy as jnp
import optax

from fdl.losses.half_precision import at_least_float32
from fdl.types import Array


def kl_divergence(log_predictions: Array, targets: Array) -> Array:
    """KL(p ‖ q) = Σ_c p(c) (log p(c) − log q(c)), in nats; 0 log 0 is 0.

    Args:
      log_predictions: log q, float [..., C], as of `jax.nn.log_softmax`.
      targets: p, float [..., C].

    Returns:
      The divergence of each example, float32 [...]; infinite where q rules out what
      p does not.

    Example:
      >>> kl_divergence(jnp.log(jnp.array([0.5, 0.5])), jnp.array([1.0, 0.0]))
      Array(0.6931472, dtype=float32)

    References:
      Kullback and Leibler, `On Information and Sufficiency
      <https://doi.org/10.1214/aoms/1177729694>`_, 1951.
    """
    chex.assert_type([log_predictions, targets], float)
    chex.assert_equal_shape([log_predictions, targets])
    log_predictions = at_least_float32(log_predictions)
    targets = at_least_float32(targets)
    # Of what cannot happen, it does not matter how unlikely it was thought to be.
    matters = jnp.where(targets == 0, 0, log_predictions)
    return optax.kl_divergence(matters, targets)


def distillation(
    logits: Array, teacher_logits: Array, *, temperature: float = 1.0
) -> Array:
    """Learn from a teacher: T² KL(softmax(teacher / T) ‖ softmax(student / T)).

    The higher the temperature, the more of the teacher's small probabilities is seen.
    With T², gradients keep their size. The teacher has a gradient, too: where it is
    trained beside the student, stop it.

    Args:
      logits: The student's, float [..., C].
      teacher_logits: Float [..., C].
      temperature: T.

    Returns:
      The loss of each example, float32 [...].

    Raises:
      ValueError: The temperature is not positive.

    References:
      Hinton, Vinyals and Dean, `Distilling the Knowledge in a Neural Network
      <https://arxiv.org/abs/1503.02531>`_, 2015.
    """
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}, but has to be positive.")
    chex.assert_type([logits, teacher_logits], float)
    chex.assert_equal_shape([logits, teacher_logits])
    student = jax.nn.log_softmax(at_least_float32(logits) / temperature)
    teacher = jax.nn.log_softmax(at_least_float32(teacher_logits) / temperature)
    matters = teacher > -jnp.inf  # What is ruled out adds nothing: 1 (0 − 0).
    divergence = optax.losses.kl_divergence_with_log_targets(
        jnp.where(matters, student, 0), jnp.where(matters, teacher, 0)
    )
    return temperature**2 * divergence
