"""Q-learning with a target network (DQN)."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from fdl import losses, metrics
from fdl.errors import UserError, check_type
from fdl.types import Array, Batch, Model, Objective, Variables


def q_learning(
    model: Model,
    *,
    double: bool = True,
    loss: Callable[[Array, Array], Array] = losses.huber,
) -> Objective:
    """Q-learning objective of a network and its target network (DQN, double DQN).

    A batch has ``observation``, ``action``, int [B], ``reward``, ``next_observation``,
    the ``discount`` of its value, zero after a terminal state, and the importance
    ``weight``, each [B, ...], such as those of `rl.uniform_replay`; with n-step returns
    as reward, it is n-step Q-learning.

    Args:
      model: Combination of two Q-networks, ``online`` and ``target``, of observations
        to values, float [B, A].
      double: Whether the online network chooses the next action, which the target
        network values: double Q-learning, against overestimation.
      loss: ``loss(values, targets)``, float [B], such as `losses.squared_error`.

    Returns:
      An objective with the metrics ``loss``, ``td_error``, the mean absolute one, and
      ``value``, the mean of the values of the actions.

    References:
      Mnih et al., `Human-level Control through Deep Reinforcement Learning
      <https://doi.org/10.1038/nature14236>`_, 2015.

      van Hasselt, Guez and Silver, `Deep Reinforcement Learning with Double Q-learning
      <https://arxiv.org/abs/1509.06461>`_, 2015.
    """
    check_type("model", model, Model, "fdl.models.combine(online=..., target=...)")

    def objective(variables, batch, key=None, *, train=False):
        targets = q_targets(model, variables, batch, double=double)
        values, model_state = model.apply(
            variables, "online", batch["observation"], key=key, train=train
        )
        chosen = values_of(values, batch["action"])
        per_example = batch["weight"] * loss(chosen, targets)
        mean = metrics.mean(per_example)
        monitored = {
            "loss": mean,
            "td_error": metrics.mean(jnp.abs(targets - chosen)),
            "value": metrics.mean(chosen),
        }
        return mean.compute(), (model_state, monitored)

    return objective


def td_errors(
    model: Model, *, double: bool = True
) -> Callable[[Variables, Batch], Array]:
    """Absolute TD errors of Q-learning: the priorities of `rl.prioritized_replay`.

    Args:
      model: Combination of two Q-networks, ``online`` and ``target``.
      double: Whether the online network chooses the next action.

    Returns:
      ``priority(variables, batch)``, float [B].
    """

    def priority(variables, batch):
        targets = q_targets(model, variables, batch, double=double)
        values, _ = model.apply(variables, "online", batch["observation"])
        return jnp.abs(targets - values_of(values, batch["action"]))

    return priority


def q_targets(
    model: Model, variables: Variables, batch: Batch, *, double: bool
) -> Array:
    """Targets of Q-learning, r + γ max Q'(s', a), float [B], without gradient."""
    observation = batch["next_observation"]
    values, _ = model.apply(variables, "target", observation)
    judged = values
    if double:
        judged, _ = model.apply(variables, "online", observation)
    best = values_of(values, judged.argmax(axis=-1))
    return jax.lax.stop_gradient(batch["reward"] + batch["discount"] * best)


def values_of(values: Array, action: Array) -> Array:
    """Values of actions, float [B], among those of all of them, float [B, A].

    Raises:
      UserError: Actions are not discrete.
    """
    if not jnp.issubdtype(action.dtype, jnp.integer):
        raise UserError(
            f"action of dtype {action.dtype}: expected discrete actions, int32, as "
            "Q-learning takes the best of them"
        )
    return jnp.take_along_axis(values, action[:, None], axis=-1).squeeze(-1)
