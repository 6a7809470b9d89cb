"""Sparse autoencoders."""

import jax.numpy as jnp

from fdl import losses, metrics
from fdl.errors import UserError, check_type, near
from fdl.losses.half_precision import at_least_float32
from fdl.objectives import supervised
from fdl.objectives.supervised import Loss
from fdl.types import INTERMEDIATES, Mean, Model, Objective


def sparse_reconstruction(
    model: Model,
    *,
    strength: float,
    target: float | None = None,
    inputs: str = "image",
    loss: Loss = losses.squared_error,
    code: str = "code",
) -> Objective:
    """Sparse autoencoder: reconstruction error, and a penalty on the code in training.

    The penalty is λ times the L1 norm of a code, as mean over the examples; or, for a
    given ``target``, times the sum over units of KL(ρ ‖ ρ̂), of the mean activation over
    the examples of the batch. Evaluation is without it.

    Args:
      model: Model of inputs [B, ...] to reconstructions of the same shape, which
        records its code, float [B, ...], as an intermediate.
      strength: Coefficient λ of the penalty.
      target: Mean activation ρ of each unit, for codes in [0, 1] such as those of
        logistic units; None for the L1 penalty.
      inputs: Name of the inputs in a batch, whose ``mask``, [B], keeps examples.
      loss: Function of outputs and inputs to one loss per element.
      code: Name of the intermediate.

    Returns:
      An objective with the metrics ``loss``, without the penalty; ``activation``, mean
      of |h| over examples and units; and ``penalty`` in training.

    Raises:
      UserError: When it is called: the model has no such intermediate.

    References:
      Goodfellow, Bengio and Courville, `Deep Learning, section 14.2.1
      <https://www.deeplearningbook.org/contents/autoencoders.html>`_, 2016.
    """
    check_type("model", model, Model, "fdl.models.functional(module)")

    def penalty(codes, mask):
        if target is None:
            return supervised.to_minimise(metrics.mean(losses.code_l1(codes), mask))
        weights = jnp.ones(len(codes)) if mask is None else mask
        total = weights.sum()
        # Where nothing counts, the target itself: its penalty is zero, with a gradient
        # of zero, while that of a mean of zero is infinite.
        means = (weights @ codes) / jnp.where(total == 0, 1, total)
        means = jnp.where(total == 0, target, means)
        return losses.sparsity_kl(means, target=target).sum()

    def objective(variables, batch, key=None, *, train=False):
        originals, mask = supervised.take(batch, inputs), batch.get("mask")
        reconstructions, model_state = model.apply(
            variables, originals, key=key, train=train, mutable=INTERMEDIATES
        )
        codes = _recorded(model_state.get(INTERMEDIATES, {}), code)
        kept = {name: model_state[name] for name in model_state if name in variables}
        mean = metrics.mean(loss(reconstructions, originals), mask)
        watched = {"loss": mean, "activation": metrics.mean(jnp.abs(codes), mask)}
        minimised = supervised.to_minimise(mean)
        if train:
            value = strength * penalty(codes, mask)
            # A weight of one: the mean over steps, as the KL is one of a whole batch.
            watched["penalty"] = Mean(value, jnp.ones(()))
            minimised += value
        return minimised, (kept, watched)

    return objective


def _recorded(intermediates, name):
    """Recorded code, at least float32 [B, D]."""
    if name not in intermediates:
        raise UserError(
            f"code={name!r}: expected an intermediate of the model. "
            f"{near(name, intermediates)}"
        )
    codes = at_least_float32(intermediates[name][-1])
    return codes.reshape(len(codes), -1)
