"""Advantage actor-critic (A2C)."""

import optax

from fdl import metrics
from fdl.distributions import Distribution, checked
from fdl.errors import check_type
from fdl.objectives.standardized import standardized
from fdl.types import Array, Mean, Model, Objective


def actor_critic(
    model: Model,
    distribution: Distribution,
    *,
    value_cost: float = 0.5,
    entropy_cost: float = 0.01,
    normalize_advantages: bool = False,
) -> Objective:
    """Advantage actor-critic (A2C): policy gradient by the advantages of a critic.

    A batch has ``observation``, ``action``, ``advantage`` and ``return``, each
    [B, ...], of the policy as it is: more than one step on the same batch would need
    `ppo`. The loss is the sum of ``-log π(a|s) A``, the value loss and the negative
    entropy, with their coefficients.

    Args:
      model: Actor-critic model, of observations to the parameters of the distribution
        and values, float [B].
      distribution: Distribution of the actions.
      value_cost: Coefficient of the value loss, half the squared error.
      entropy_cost: Coefficient of the entropy bonus, in nats.
      normalize_advantages: Whether to standardise advantages over the batch.

    Returns:
      An objective with the metrics ``loss``, ``policy_loss``, ``value_loss`` and
      ``entropy``.

    Raises:
      UserError: The distribution is none: a function that was not called, say.

    References:
      Mnih et al., `Asynchronous Methods for Deep Reinforcement Learning
      <https://arxiv.org/abs/1602.01783>`_, 2016.
    """
    check_type("model", model, Model, "fdl.models.functional(module)")
    distribution = checked(distribution)

    def objective(variables, batch, key=None, *, train=False):
        (params, values), model_state = model.apply(
            variables, batch["observation"], key=key, train=train
        )
        advantage = batch["advantage"]
        if normalize_advantages:
            advantage = standardized(advantage)
        terms = (
            -distribution.log_prob(params, batch["action"]) * advantage,
            optax.l2_loss(values, batch["return"]),
            distribution.entropy(params),
        )
        loss, monitored = weighted_loss(*terms, value_cost, entropy_cost)
        return loss, (model_state, monitored)

    return objective


def weighted_loss(
    policy: Array,
    value: Array,
    entropy: Array,
    value_cost: float | Array,
    entropy_cost: float | Array,
    mask: Array | None = None,
) -> tuple[Array, dict[str, Mean]]:
    """Loss of an actor-critic, and its parts as metrics.

    Args:
      policy: Policy loss of each action, float [B, ...].
      value: Value loss of each observation, float [B, ...].
      entropy: Entropy of the policy at each observation, float [B, ...].
      value_cost: Coefficient of the value loss.
      entropy_cost: Coefficient of the entropy bonus.
      mask: True for the examples that count, bool [B, ...]. Default: all of them.
    """
    loss = policy + value_cost * value - entropy_cost * entropy
    parts = {"policy_loss": policy, "value_loss": value, "entropy": entropy}
    means = {k: metrics.mean(x, mask) for k, x in {"loss": loss, **parts}.items()}
    return means["loss"].compute(), means
