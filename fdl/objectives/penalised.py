"""Objectives with a price on their parameters."""

from collections.abc import Callable

import jax.numpy as jnp

from fdl.errors import UserError
from fdl.types import Array, Mean, Objective, Params


def penalised(
    objective: Objective,
    penalty: Callable[[Params], Array],
    *,
    name: str = "penalty",
) -> Objective:
    """Adds a penalty to what is minimised: regularisation in the loss.

    Only training sees it. In evaluation the loss is that of the objective, and so is
    the metric ``loss`` in both, so that the loss of the training and that of the test
    can be compared; what is minimised is ``loss + penalty``.

    Args:
      objective: What else to minimise.
      penalty: Of the parameters, to float []; say
        ``partial(losses.l2_penalty, strength=1e-4)``.
      name: Of the metric. Two penalties need two names.

    Returns:
      An objective that watches the penalty as well while training.

    Raises:
      UserError: The objective has a metric of this name.
    """

    def with_penalty(variables, batch, key=None, *, train=False):
        loss, (model_state, metrics) = objective(variables, batch, key, train=train)
        if not train:
            return loss, (model_state, metrics)
        if name in metrics:
            raise UserError(f"There is a metric {name!r} already: choose another name.")
        price = penalty(variables["params"])
        watched = {**metrics, name: Mean(price, jnp.ones(()))}
        return loss + price, (model_state, watched)

    return with_penalty
