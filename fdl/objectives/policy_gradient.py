"""Policy gradient by Monte Carlo returns (REINFORCE), with a baseline."""

import jax
import optax

from fdl.distributions import Distribution, checked
from fdl.errors import check_type
from fdl.objectives.actor_critic import weighted_loss
from fdl.objectives.standardized import standardized
from fdl.types import Model, Objective


def policy_gradient(
    model: Model,
    distribution: Distribution,
    *,
    value_cost: float = 0.5,
    entropy_cost: float = 0.0,
    normalize_advantages: bool = True,
) -> Objective:
    """Policy gradient by Monte Carlo returns (REINFORCE), with a learned baseline.

    A batch has ``observation``, ``action``, ``return`` and ``mask``, True for actions
    that were taken, each [B, ...], as `rl.episodic` collects them. The loss is the sum
    of ``-log π(a|s) (G - v(s))``, the value loss and the negative entropy, with their
    coefficients. As usual, the factor γᵗ of the gradient of a discounted return is left
    out, so that late actions count as much as early ones.

    Args:
      model: Actor-critic model, of observations to the parameters of the distribution
        and values, float [B], which are the baseline.
      distribution: Distribution of the actions.
      value_cost: Coefficient of the value loss, half the squared error.
      entropy_cost: Coefficient of the entropy bonus, in nats.
      normalize_advantages: Whether to standardise ``G - v(s)`` over the batch.

    Returns:
      An objective with the metrics ``loss``, ``policy_loss``, ``value_loss`` and
      ``entropy``.

    Raises:
      UserError: The distribution is none: a function that was not called, say.

    References:
      Williams, `Simple Statistical Gradient-Following Algorithms for Connectionist
      Reinforcement Learning <https://doi.org/10.1007/BF00992696>`_, 1992.
    """
    check_type("model", model, Model, "fdl.models.functional(module)")
    distribution = checked(distribution)

    def objective(variables, batch, key=None, *, train=False):
        (params, values), model_state = model.apply(
            variables, batch["observation"], key=key, train=train
        )
        mask = batch["mask"]
        advantage = jax.lax.stop_gradient(batch["return"] - values)
        if normalize_advantages:
            advantage = standardized(advantage, mask)
        terms = (
            -distribution.log_prob(params, batch["action"]) * advantage,
            optax.l2_loss(values, batch["return"]),
            distribution.entropy(params),
        )
        loss, monitored = weighted_loss(*terms, value_cost, entropy_cost, mask)
        return loss, (model_state, monitored)

    return objective
