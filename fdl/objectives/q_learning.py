"""Q-learning: with a target network (DQN, QR-DQN), or towards given returns (PQN)."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from fdl import losses, metrics
from fdl.errors import UserError, check_type
from fdl.types import Array, Batch, Key, Metrics, Model, Objective, Variables


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

    With networks of several quantiles for each action, float [B, A, Q], such as
    ``QNetwork(num_atoms=Q)``, and ``loss=losses.quantile_huber`` it is quantile
    regression DQN (QR-DQN), whose best action is that of the highest mean.

    Args:
      model: Combination of two Q-networks, ``online`` and ``target``, of observations
        to values, float [B, A] or [B, A, Q]. Noisy ones draw noise of their own each.
      double: Whether the online network chooses the next action, which the target
        network values: double Q-learning, against overestimation.
      loss: ``loss(values, targets)``, float [B], such as `losses.squared_error`.

    Returns:
      An objective with the metrics ``loss``, ``td_error``, the mean absolute one, and
      ``value``, the mean of the values of the actions.

    Raises:
      UserError: When it is called: actions are not discrete, or the loss is not of the
        network's values.

    References:
      Mnih et al., `Human-level Control through Deep Reinforcement Learning
      <https://doi.org/10.1038/nature14236>`_, 2015.

      van Hasselt, Guez and Silver, `Deep Reinforcement Learning with Double Q-learning
      <https://arxiv.org/abs/1509.06461>`_, 2015.

      Dabney et al., `Distributional Reinforcement Learning with Quantile Regression
      <https://arxiv.org/abs/1710.10044>`_, 2017.
    """
    check_type("model", model, Model, "fdl.models.combine(online=..., target=...)")

    def objective(variables, batch, key=None, *, train=False):
        keys = (None, None) if key is None else jax.random.split(key)
        targets = q_targets(model, variables, batch, keys[0], double=double)
        values, model_state = model.apply(
            variables, "online", batch["observation"], key=keys[1], train=train
        )
        mean, monitored = _regression(
            values_of(values, batch["action"]), targets, batch["weight"], loss
        )
        return mean, (model_state, monitored)

    return objective


def q_regression(
    model: Model, *, loss: Callable[[Array, Array], Array] = optax.l2_loss
) -> Objective:
    """Regression of the values of actions onto given returns, as in PQN.

    Args:
      model: Q-network, of observations to values, float [B, A].
      loss: ``loss(values, targets)``, float [B]; half the squared error by default.

    Returns:
      An objective on batches with ``observation``, ``action``, int [B], and ``return``,
      float [B], such as those of `rl.parallel_q_learning`, with the metrics of
      `q_learning`.

    References:
      Gallici et al., `Simplifying Deep Temporal Difference Learning
      <https://arxiv.org/abs/2407.04811>`_, 2024.
    """
    check_type("model", model, Model, "fdl.models.functional(module)")

    def objective(variables, batch, key=None, *, train=False):
        values, model_state = model.apply(
            variables, batch["observation"], key=key, train=train
        )
        chosen, targets = values_of(values, batch["action"]), batch["return"]
        mean, monitored = _regression(chosen, targets, jnp.ones_like(targets), loss)
        return mean, (model_state, monitored)

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
        return _td_error(values_of(values, batch["action"]), targets)

    return priority


def q_targets(
    model: Model,
    variables: Variables,
    batch: Batch,
    key: Key | None = None,
    *,
    double: bool,
) -> Array:
    """Targets of Q-learning, r + γ max Q'(s', a), float [B] or [B, Q].

    Without gradient; see `q_learning`.
    """
    observation = batch["next_observation"]
    keys = (None, None) if key is None else jax.random.split(key)
    values, _ = model.apply(variables, "target", observation, key=keys[0])
    judged = values
    if double:
        judged, _ = model.apply(variables, "online", observation, key=keys[1])
    best = values_of(values, _means(judged, 2).argmax(axis=-1))
    reward, discount = (
        batch[name].reshape(-1, *(1,) * (best.ndim - 1))
        for name in ("reward", "discount")
    )
    return jax.lax.stop_gradient(reward + discount * best)


def values_of(values: Array, action: Array) -> Array:
    """Values of actions, float [B, ...], among those of all, float [B, A, ...].

    Raises:
      UserError: Actions are not discrete.
    """
    if not jnp.issubdtype(action.dtype, jnp.integer):
        raise UserError(
            f"action of dtype {action.dtype}: expected discrete actions, int32, as "
            "Q-learning takes the best of them"
        )
    index = action.reshape(-1, *(1,) * (values.ndim - 1))
    return jnp.take_along_axis(values, index, axis=1).squeeze(1)


def _regression(
    values: Array, targets: Array, weight: Array, loss: Callable[[Array, Array], Array]
) -> tuple[Array, Metrics]:
    """Weighted mean of a loss, and the metrics of values and targets."""
    per_example = loss(values, targets)
    if per_example.shape != weight.shape:
        raise UserError(
            f"loss of values {[*values.shape]} is {[*per_example.shape]}: expected "
            f"{[*weight.shape]}; that of quantiles is losses.quantile_huber"
        )
    mean = metrics.mean(weight * per_example)
    return mean.compute(), {
        "loss": mean,
        "td_error": metrics.mean(_td_error(values, targets)),
        "value": metrics.mean(_means(values, 1)),
    }


def _td_error(values: Array, targets: Array) -> Array:
    """Absolute differences of values and targets, of the means of quantiles."""
    return jnp.abs(_means(targets, 1) - _means(values, 1))


def _means(values: Array, ndim: int) -> Array:
    """Values of a number of axes: of quantiles, along a last axis, their mean."""
    return values.mean(axis=-1) if values.ndim > ndim else values
