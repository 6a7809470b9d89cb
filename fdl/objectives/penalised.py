"""Regularisation by a penalty on the parameters."""

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
    """Regularised objective: ``loss + penalty`` in training, ``loss`` in evaluation.

    The metric ``loss`` is without the penalty in both, so that training and test loss
    can be compared.

    Args:
      objective: Objective to regularise.
      penalty: Function of the parameters to float [], such as
        ``partial(losses.l2_penalty, strength=1e-4)``.
      name: Name of the penalty among the metrics. Two penalties need two names.

    Returns:
      An objective with the penalty as a further metric in training.

    Raises:
      UserError: When the objective is called: it has a metric of this name.
    """

    def with_penalty(variables, batch, key=None, *, train=False):
        loss, (model_state, metrics) = objective(variables, batch, key, train=train)
        if not train:
            return loss, (model_state, metrics)
        if name in metrics:
            raise UserError(f"name={name!r}: expected a name that no metric has")
        value = penalty(variables["params"])
        # A weight of one: the metric is the mean over steps, not over examples.
        monitored = {**metrics, name: Mean(value, jnp.ones(()))}
        return loss + value, (model_state, monitored)

    return with_penalty
