"""Soft actor-critic (SAC): critic, actor and temperature."""

from functools import partial

import jax
import jax.numpy as jnp

from fdl import metrics
from fdl.distributions import Distribution, checked
from fdl.distributions.distribution import array_of
from fdl.errors import check_type
from fdl.objectives.deterministic_policy import critic_loss
from fdl.objectives.q_learning import values_of
from fdl.types import Array, Batch, Key, Model, Objective, PyTree, Variables

NETWORKS = "fdl.models.combine(actor=..., critic=..., temperature=...)"


def soft_critic(
    model: Model, distribution: Distribution, *, discrete: bool = False
) -> Objective:
    """TD error of the critics of soft actor-critic (SAC).

    The value of the next observation is the minimum over the critics at an action that
    the policy samples, plus its entropy times the temperature. Of discrete actions,
    both are exact expectations over all of them.

    Args:
      model: Combination of networks: ``actor``, of observations to the parameters of
        the distribution; ``critic`` and ``target_critic``, of observations and actions
        to values, float [B, critics]; ``temperature``, without inputs, to the logarithm
        of the temperature, float [], such as `models.scalar`.
      distribution: Distribution of the actions, such as
        `distributions.squashed_normal`.
      discrete: Whether actions are discrete (discrete SAC): of a categorical
        distribution, whose critics are of observations to the values of all actions,
        float [B, A, critics], such as ``Critic(discrete=True)``.

    Returns:
      An objective on the batches of `deterministic_critic`, with the metrics ``loss``,
      half the squared error summed over the critics, and ``value``, their mean value.

    References:
      Haarnoja et al., `Soft Actor-Critic Algorithms and Applications
      <https://arxiv.org/abs/1812.05905>`_, 2018.

      Christodoulou, `Soft Actor-Critic for Discrete Action Settings
      <https://arxiv.org/abs/1910.07207>`_, 2019.
    """
    check_type("model", model, Model, NETWORKS)
    act = _acting(checked(distribution), discrete)

    def objective(variables, batch, key=None, *, train=False):
        observation = batch["next_observation"]
        params, _ = model.apply(variables, "actor", observation)
        action, entropy = act(params, key)
        value = _lowest(
            model, variables, "target_critic", observation, action, discrete=discrete
        )
        log_temperature, _ = model.apply(variables, "temperature")
        soft = value + jnp.exp(log_temperature) * entropy
        targets = batch["reward"] + batch["discount"] * soft
        values, model_state = _of_batch(
            model, variables, batch, train=train, discrete=discrete
        )
        loss, monitored = critic_loss(values, targets, batch["weight"])
        return loss, (model_state, monitored)

    return objective


def soft_actor(
    model: Model, distribution: Distribution, *, discrete: bool = False
) -> Objective:
    """Policy loss of soft actor-critic: of value and entropy, by reparametrisation.

    Args:
      model: Combination of networks; see `soft_critic`.
      distribution: Distribution of the actions.
      discrete: Whether actions are discrete.

    Returns:
      An objective with the metrics ``loss`` and ``entropy``, by the samples unless
      actions are discrete.
    """
    check_type("model", model, Model, NETWORKS)
    act = _acting(checked(distribution), discrete)

    def objective(variables, batch, key=None, *, train=False):
        observation = batch["observation"]
        params, model_state = model.apply(variables, "actor", observation, train=train)
        action, entropy = act(params, key)
        value = _lowest(
            model, variables, "critic", observation, action, discrete=discrete
        )
        log_temperature, _ = model.apply(variables, "temperature")
        loss = metrics.mean(-value - jnp.exp(log_temperature) * entropy)
        monitored = {"loss": loss, "entropy": metrics.mean(entropy)}
        return loss.compute(), (model_state, monitored)

    return objective


def soft_temperature(
    model: Model,
    distribution: Distribution,
    *,
    target_entropy: float,
    discrete: bool = False,
) -> Objective:
    """Loss of the temperature of soft actor-critic, which steers the entropy.

    Args:
      model: Combination of networks; see `soft_critic`.
      distribution: Distribution of the actions.
      target_entropy: Entropy of the policy, in nats; in the paper, minus the number of
        dimensions of an action; of A discrete actions, 0.98 log A.
      discrete: Whether actions are discrete.

    Returns:
      An objective with the metrics ``loss`` and ``temperature``.
    """
    check_type("model", model, Model, NETWORKS)
    act = _acting(checked(distribution), discrete)

    def objective(variables, batch, key=None, *, train=False):
        del train
        params, _ = model.apply(variables, "actor", batch["observation"])
        _, entropy = act(params, key)
        log_temperature, model_state = model.apply(variables, "temperature")
        # In its logarithm, as in the authors' code: the temperature stays positive.
        excess = jax.lax.stop_gradient(entropy - target_entropy)
        loss = metrics.mean(log_temperature * excess)
        temperature = metrics.mean(jnp.exp(log_temperature)[None])
        monitored = {"loss": loss, "temperature": temperature}
        return loss.compute(), (model_state, monitored)

    return objective


def _acting(distribution: Distribution, discrete: bool):
    """``act(params, key)``, to actions and the entropy, float [B], by the samples.

    Discrete actions are not sampled: in their place are the probabilities of all of
    them, float [B, A], and the entropy is that of the distribution.
    """

    def sample(params: PyTree, key: Key):
        action, log_prob = distribution.sample_and_log_prob(params, key)
        return action, -log_prob

    def expect(params: PyTree, key: Key):
        del key
        return jax.nn.softmax(array_of(params)), distribution.entropy(params)

    return expect if discrete else sample


def _of_batch(
    model: Model, variables: Variables, batch: Batch, *, train: bool, discrete: bool
) -> tuple[Array, PyTree]:
    """Values of the actions of a batch, float [B, critics], and the model state."""
    apply = partial(model.apply, variables, "critic", batch["observation"], train=train)
    if not discrete:
        return apply(batch["action"])
    values, model_state = apply()
    return values_of(values, batch["action"]), model_state


def _lowest(
    model: Model,
    variables: Variables,
    critic: str,
    observation: Array,
    action: Array,
    *,
    discrete: bool,
) -> Array:
    """Lowest value of the critics, float [B]: of actions, or expected of all."""
    if discrete:
        values, _ = model.apply(variables, critic, observation)
        return (action * values.min(axis=-1)).sum(axis=-1)
    values, _ = model.apply(variables, critic, observation, action)
    return values.min(axis=-1)
