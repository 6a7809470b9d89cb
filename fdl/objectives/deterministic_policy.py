"""Deterministic policy gradients (DDPG, TD3)."""

import jax
import jax.numpy as jnp

from fdl import losses, metrics
from fdl.errors import check_type
from fdl.types import Array, Metrics, Model, Objective

NETWORKS = "fdl.models.combine(actor=..., critic=..., target_actor=...)"


def deterministic_critic(
    model: Model, *, noise: float = 0.0, noise_clip: float = 0.5
) -> Objective:
    """TD error of the critics of a deterministic policy, for DDPG and TD3.

    A batch has ``observation``, ``action``, ``reward``, ``next_observation``,
    ``discount`` and ``weight``, each [B, ...], such as those of `rl.uniform_replay`.
    Targets take the minimum over the critics, clipped double Q-learning, which with one
    critic is DDPG.

    Args:
      model: Combination of networks: ``actor`` and ``target_actor``, of observations to
        actions in (-1, 1), float [B, A]; ``critic`` and ``target_critic``, of
        observations and actions to values, float [B, critics].
      noise: Standard deviation of the noise on the target's actions (target policy
        smoothing); 0.2 in TD3.
      noise_clip: Maximum absolute value of that noise.

    Returns:
      An objective with the metrics ``loss``, half the squared error summed over the
      critics, and ``value``, their mean value.

    References:
      Lillicrap et al., `Continuous Control with Deep Reinforcement Learning
      <https://arxiv.org/abs/1509.02971>`_, 2015.

      Fujimoto, van Hoof and Meger, `Addressing Function Approximation Error in
      Actor-Critic Methods <https://arxiv.org/abs/1802.09477>`_, 2018.
    """
    check_type("model", model, Model, NETWORKS)

    def next_values(variables, batch, key):
        observation = batch["next_observation"]
        action, _ = model.apply(variables, "target_actor", observation)
        if noise:
            drawn = noise * jax.random.normal(key, action.shape, action.dtype)
            action = action + jnp.clip(drawn, -noise_clip, noise_clip)
        action = jnp.clip(action, -1, 1)
        values, _ = model.apply(variables, "target_critic", observation, action)
        return values.min(axis=-1)

    def objective(variables, batch, key=None, *, train=False):
        targets = batch["reward"] + batch["discount"] * next_values(
            variables, batch, key
        )
        values, model_state = model.apply(
            variables, "critic", batch["observation"], batch["action"], train=train
        )
        loss, monitored = critic_loss(values, targets, batch["weight"])
        return loss, (model_state, monitored)

    return objective


def deterministic_actor(model: Model) -> Objective:
    """Deterministic policy gradient: minus the value of the actor's own actions.

    Args:
      model: Combination of networks; see `deterministic_critic`. The first critic
        judges the actions.

    Returns:
      An objective with the metric ``loss``.

    References:
      Silver et al., `Deterministic Policy Gradient Algorithms
      <https://proceedings.mlr.press/v32/silver14.html>`_, 2014.
    """
    check_type("model", model, Model, NETWORKS)

    def objective(variables, batch, key=None, *, train=False):
        action, model_state = model.apply(
            variables, "actor", batch["observation"], key=key, train=train
        )
        values, _ = model.apply(variables, "critic", batch["observation"], action)
        loss = metrics.mean(-values[:, 0])
        return loss.compute(), (model_state, {"loss": loss})

    return objective


def critic_loss(values: Array, targets: Array, weight: Array) -> tuple[Array, Metrics]:
    """Loss of all critics against the same targets, and its metrics.

    Args:
      values: Values of the critics, float [B, critics].
      targets: Targets, float [B], which get no gradient.
      weight: Importance weights, float [B].
    """
    targets = jax.lax.stop_gradient(targets)
    errors = losses.squared_error(
        values, jnp.broadcast_to(targets[:, None], values.shape)
    )
    loss = metrics.mean(weight * errors.sum(axis=-1) / 2)
    return loss.compute(), {"loss": loss, "value": metrics.mean(values)}
