"""Proximal policy optimisation (PPO)."""

import jax
import jax.numpy as jnp
import optax

from fdl import losses, metrics
from fdl.distributions import Distribution, checked
from fdl.errors import check_type
from fdl.types import Model, Objective


def ppo(
    model: Model,
    distribution: Distribution,
    *,
    clip: float = 0.2,
    value_cost: float = 0.5,
    entropy_cost: float = 0.01,
) -> Objective:
    """Proximal policy optimisation (PPO) with a clipped surrogate objective.

    A batch has ``observation``, ``action``, the ``log_prob`` of the action under the
    behaviour policy, ``advantage`` and ``return``, each [B, ...]. Advantages are
    standardised over the batch. The loss is the sum of the clipped surrogate loss, the
    value loss and the negative entropy, with their coefficients.

    Args:
      model: Actor-critic model, of observations to the parameters of the distribution
        and values, float [B].
      distribution: Distribution of the actions.
      clip: ε, the maximum deviation of the probability ratio from one.
      value_cost: Coefficient of the value loss, half the squared error.
      entropy_cost: Coefficient of the entropy bonus, in nats.

    Returns:
      An objective with the metrics ``loss``, ``policy_loss``, ``value_loss``,
      ``entropy``, ``approx_kl``, an estimate of the KL divergence from the behaviour
      policy to the policy, and ``clip_fraction``, the share of examples whose ratio
      deviates from one by more than ``clip``.

    Raises:
      UserError: The distribution is none: a function that was not called, say.

    References:
      Schulman et al., `Proximal Policy Optimization Algorithms
      <https://arxiv.org/abs/1707.06347>`_, 2017.

      Schulman, `Approximating KL Divergence
      <http://joschu.net/blog/kl-approx.html>`_, 2020.
    """
    check_type("model", model, Model, "fdl.models.functional(module)")
    distribution = checked(distribution)

    def objective(variables, batch, key=None, *, train=False):
        (params, values), model_state = model.apply(
            variables, batch["observation"], key=key, train=train
        )
        log_ratio = distribution.log_prob(params, batch["action"]) - batch["log_prob"]
        advantage = jax.nn.standardize(batch["advantage"])
        policy = losses.clipped_surrogate(log_ratio, advantage, clip=clip)
        value = optax.l2_loss(values, batch["return"])
        entropy = distribution.entropy(params)
        loss = metrics.mean(policy + value_cost * value - entropy_cost * entropy)
        ratio = jnp.exp(log_ratio)
        clipped = jnp.abs(ratio - 1) > clip
        monitored = {
            "loss": loss,
            "policy_loss": metrics.mean(policy),
            "value_loss": metrics.mean(value),
            "entropy": metrics.mean(entropy),
            # Schulman's k3: unbiased as −log r is, but never negative, and of less
            # variance.
            "approx_kl": metrics.mean(jnp.expm1(log_ratio) - log_ratio),
            "clip_fraction": metrics.mean(clipped.astype(jnp.float32)),
        }
        return loss.compute(), (model_state, monitored)

    return objective
