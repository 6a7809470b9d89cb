"""Soft actor-critic (SAC): critic, actor and temperature."""

import jax
import jax.numpy as jnp

from fdl import metrics
from fdl.distributions import Distribution, checked
from fdl.errors import check_type
from fdl.objectives.deterministic_policy import critic_loss
from fdl.types import Model, Objective

NETWORKS = "fdl.models.combine(actor=..., critic=..., temperature=...)"


def soft_critic(model: Model, distribution: Distribution) -> Objective:
    """TD error of the critics of soft actor-critic (SAC).

    The value of the next observation is the minimum over the critics at an action that
    the policy samples, plus its entropy times the temperature.

    Args:
      model: Combination of networks: ``actor``, of observations to the parameters of
        the distribution; ``critic`` and ``target_critic``, of observations and actions
        to values, float [B, critics]; ``temperature``, without inputs, to the logarithm
        of the temperature, float [], such as `models.scalar`.
      distribution: Distribution of the actions, such as
        `distributions.squashed_normal`.

    Returns:
      An objective on the batches of `deterministic_critic`, with the metrics ``loss``,
      half the squared error summed over the critics, and ``value``, their mean value.

    References:
      Haarnoja et al., `Soft Actor-Critic Algorithms and Applications
      <https://arxiv.org/abs/1812.05905>`_, 2018.
    """
    check_type("model", model, Model, NETWORKS)
    distribution = checked(distribution)

    def objective(variables, batch, key=None, *, train=False):
        observation = batch["next_observation"]
        params, _ = model.apply(variables, "actor", observation)
        action, log_prob = distribution.sample_and_log_prob(params, key)
        values, _ = model.apply(variables, "target_critic", observation, action)
        log_temperature, _ = model.apply(variables, "temperature")
        soft = values.min(axis=-1) - jnp.exp(log_temperature) * log_prob
        targets = batch["reward"] + batch["discount"] * soft
        return critic_loss(model, variables, batch, targets, train=train)

    return objective


def soft_actor(model: Model, distribution: Distribution) -> Objective:
    """Policy loss of soft actor-critic: of value and entropy, by reparametrisation.

    Args:
      model: Combination of networks; see `soft_critic`.
      distribution: Distribution of the actions.

    Returns:
      An objective with the metrics ``loss`` and ``entropy``, by the samples.
    """
    check_type("model", model, Model, NETWORKS)
    distribution = checked(distribution)

    def objective(variables, batch, key=None, *, train=False):
        observation = batch["observation"]
        params, model_state = model.apply(variables, "actor", observation, train=train)
        action, log_prob = distribution.sample_and_log_prob(params, key)
        values, _ = model.apply(variables, "critic", observation, action)
        log_temperature, _ = model.apply(variables, "temperature")
        loss = metrics.mean(jnp.exp(log_temperature) * log_prob - values.min(axis=-1))
        monitored = {"loss": loss, "entropy": metrics.mean(-log_prob)}
        return loss.compute(), (model_state, monitored)

    return objective


def soft_temperature(
    model: Model, distribution: Distribution, *, target_entropy: float
) -> Objective:
    """Loss of the temperature of soft actor-critic, which steers the entropy.

    Args:
      model: Combination of networks; see `soft_critic`.
      distribution: Distribution of the actions.
      target_entropy: Entropy of the policy, in nats; in the paper, minus the number of
        dimensions of an action.

    Returns:
      An objective with the metrics ``loss`` and ``temperature``.
    """
    check_type("model", model, Model, NETWORKS)
    distribution = checked(distribution)

    def objective(variables, batch, key=None, *, train=False):
        del train
        params, _ = model.apply(variables, "actor", batch["observation"])
        _, log_prob = distribution.sample_and_log_prob(params, key)
        log_temperature, model_state = model.apply(variables, "temperature")
        # In its logarithm, as in the authors' code: the temperature stays positive.
        excess = jax.lax.stop_gradient(-log_prob - target_entropy)
        loss = metrics.mean(log_temperature * excess)
        temperature = metrics.mean(jnp.exp(log_temperature)[None])
        monitored = {"loss": loss, "temperature": temperature}
        return loss.compute(), (model_state, monitored)

    return objective
