"""Schedule-free optimizers: an average of the weights takes the place of a schedule."""

import optax

from fdl.optim.masks import Mask


def schedule_free_adamw(
    learning_rate: optax.ScalarOrSchedule,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    mask: Mask | None = None,
    weight_lr_power: float = 2.0,
) -> optax.GradientTransformationExtraArgs:
    """`optax.contrib.schedule_free_adamw` that decays under a mask.

    Args:
      learning_rate: A number, or a warmup to one.
      b1: How close to the average gradients are taken, in place of momentum.
      b2: Decay of the second moment.
      eps: Added to its root.
      weight_decay: λ of w ← w − ηλw.
      mask: What decays.
      weight_lr_power: Weights of the average are η to this power.

    References:
      Defazio et al., `The Road Less Scheduled <https://arxiv.org/abs/2405.15682>`_,
      2024.
    """
    base = optax.chain(
        optax.scale_by_rms(decay=b2, eps=eps, eps_in_sqrt=False, bias_correction=True),
        optax.add_decayed_weights(weight_decay, mask),
        optax.scale_by_learning_rate(learning_rate),
    )
    return optax.contrib.schedule_free(base, learning_rate, b1, weight_lr_power)


def schedule_free_sgd(
    learning_rate: optax.ScalarOrSchedule,
    b1: float = 0.9,
    weight_decay: float = 0.0,
    mask: Mask | None = None,
    weight_lr_power: float = 2.0,
) -> optax.GradientTransformationExtraArgs:
    """`optax.contrib.schedule_free_sgd` that decays under a mask.

    Args:
      learning_rate: A number, or a warmup to one.
      b1: How close to the average gradients are taken, in place of momentum.
      weight_decay: λ of w ← w − ηλw.
      mask: What decays.
      weight_lr_power: Weights of the average are η to this power.

    References:
      Defazio et al., `The Road Less Scheduled <https://arxiv.org/abs/2405.15682>`_,
      2024.
    """
    base = optax.chain(
        optax.add_decayed_weights(weight_decay, mask),
        optax.scale_by_learning_rate(learning_rate),
    )
    return optax.contrib.schedule_free(base, learning_rate, b1, weight_lr_power)
