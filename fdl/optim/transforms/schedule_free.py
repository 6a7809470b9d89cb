"""Schedule-free optimizers: weight averaging in place of a learning rate schedule."""

import optax
from optax.contrib import ScheduleFreeState, schedule_free_eval_params

from fdl.optim.find import find
from fdl.optim.masks import Mask, merge, split
from fdl.types import Params


def schedule_free_adamw(
    learning_rate: optax.ScalarOrSchedule,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    mask: Mask | None = None,
    weight_lr_power: float = 2.0,
) -> optax.GradientTransformationExtraArgs:
    """Schedule-free AdamW, with a mask for weight decay.

    It equals `optax.contrib.schedule_free_adamw` where all parameters decay.

    Args:
      learning_rate: η, a number or a schedule of a warmup to one.
      b1: Interpolation between the iterate (0) and the average (1) at which gradients
        are taken; it takes the place of momentum.
      b2: Decay of the second moment.
      eps: Term added to the root of the second moment.
      weight_decay: λ of w ← w − ηλw.
      mask: Mask of the parameters that decay. Default: all.
      weight_lr_power: Power of η that weights an iterate in the average.

    References:
      Defazio et al., `The Road Less Scheduled <https://arxiv.org/abs/2405.15682>`_,
      2024.
    """
    # Optax's has no argument for the mask, so the inner optimizer is assembled here.
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
    """Schedule-free SGD, with a mask for weight decay.

    It equals `optax.contrib.schedule_free_sgd` where all parameters decay.

    Args:
      learning_rate: η, a number or a schedule of a warmup to one.
      b1: Interpolation between the iterate (0) and the average (1) at which gradients
        are taken; it takes the place of momentum.
      weight_decay: λ of w ← w − ηλw.
      mask: Mask of the parameters that decay. Default: all.
      weight_lr_power: Power of η that weights an iterate in the average.

    References:
      Defazio et al., `The Road Less Scheduled <https://arxiv.org/abs/2405.15682>`_,
      2024.
    """
    base = optax.chain(
        optax.add_decayed_weights(weight_decay, mask),
        optax.scale_by_learning_rate(learning_rate),
    )
    return optax.contrib.schedule_free(base, learning_rate, b1, weight_lr_power)


def averaged_params(opt_state: optax.OptState, params: Params) -> Params:
    """Average x of the iterates of a schedule-free optimizer, to evaluate.

    Gradients are taken at y, an interpolation of x and the iterate z.

    Args:
      opt_state: State of a chain with a schedule-free optimizer.
      params: Parameters y. Frozen ones are returned as they are.
    """
    state = find(opt_state, ScheduleFreeState)
    assert state is not None  # It is asked of a chain that has one.
    # Optax solves for x, of the parameters that the optimizer was shown.
    average = schedule_free_eval_params(state, split(params, state.z))
    return merge(average, params)
