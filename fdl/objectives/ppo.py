"""Proximal policy optimisation."""

import jax
import jax.numpy as jnp
import optax

from fdl import losses, metrics
from fdl.distributions import Distribution
from fdl.types import Model, Objective


def ppo(
    model: Model,
    distribution: Distribution,
    *,
    clip: float = 0.2,
    value_cost: float = 0.5,
    entropy_cost: float = 0.01,
) -> Objective:
    """Improve a policy on a batch of its experience, but stay close to what it was.

    A batch has ``observation``, ``action``, the ``log_prob`` with which it was taken,
    ``advantage`` and ``return``, each [B, ...]. Advantages are standardised over it.

    Args:
      model: Returns the parameters of the distribution, and values, float [B].
      distribution: Of the actions.
      clip: How far the ratio of probabilities may move from one.
      value_cost: Price of half the squared error of the values.
      entropy_cost: Reward of a nat of entropy.

    Returns:
      The objective. It also watches ``approx_kl``, an estimate of the divergence of
      the policy from what it was, and ``clip_fraction``, the share of examples whose
      ratio moved further than allowed.

    References:
      Schulman et al., `Proximal Policy Optimization Algorithms
      <https://arxiv.org/abs/1707.06347>`_, 2017.

      Schulman, `Approximating KL Divergence
      <http://joschu.net/blog/kl-approx.html>`_, 2020.
    """

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
        moved = jnp.abs(ratio - 1) > clip
        watched = {
            "loss": loss,
            "policy_loss": metrics.mean(policy),
            "value_loss": metrics.mean(value),
            "entropy": metrics.mean(entropy),
            "approx_kl": metrics.mean(ratio - 1 - log_ratio),
            "clip_fraction": metrics.mean(moved.astype(jnp.float32)),
        }
        return loss.compute(), (model_state, watched)

    return objective
