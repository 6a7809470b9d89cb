"""Proximal policy optimisation (PPO)."""

from collections.abc import Callable

import jax.numpy as jnp
import optax

from fdl import losses, metrics
from fdl.distributions import Distribution, checked
from fdl.errors import check_nonnegative, check_type
from fdl.objectives.actor_critic import weighted_loss
from fdl.objectives.standardized import standardized
from fdl.types import Array, Model, Objective

# Number, or a function of the number of rollouts so far, such as those of optax.
Schedule = float | Callable[[Array], Array]


def ppo(
    model: Model,
    distribution: Distribution,
    *,
    clip: Schedule = 0.2,
    value_cost: float = 0.5,
    entropy_cost: Schedule = 0.01,
    value_clip: float | None = None,
    normalize_advantages: bool = True,
) -> Objective:
    """Proximal policy optimisation (PPO) with a clipped surrogate objective.

    A batch has ``observation``, ``action``, the ``log_prob`` of the action under the
    behaviour policy, ``advantage`` and ``return``, each [B, ...]. The loss is the sum
    of the clipped surrogate loss, the value loss and the negative entropy, with their
    coefficients.

    Args:
      model: Actor-critic model, of observations to the parameters of the distribution
        and values, float [B].
      distribution: Distribution of the actions.
      clip: ε, the maximum deviation of the probability ratio from one; or a schedule of
        it, a function of the number of rollouts, the ``step`` of the batch.
      value_cost: Coefficient of the value loss, half the squared error.
      entropy_cost: Coefficient of the entropy bonus, in nats, or a schedule of it.
      value_clip: Maximum deviation of a value from that before the first update, the
        ``value`` of the batch, as in OpenAI Baselines: the loss is the larger one of
        the value and the clipped value. Default: none.
      normalize_advantages: Whether to standardise advantages over the batch.

    Returns:
      An objective with the metrics ``loss``, ``policy_loss``, ``value_loss``,
      ``entropy``, ``approx_kl``, an estimate of the KL divergence from the behaviour
      policy to the policy, and ``clip_fraction``, the share of examples whose ratio
      deviates from one by more than ``clip``.

    Raises:
      UserError: The distribution is none: a function that was not called, say; or a
        clip is negative.

    References:
      Schulman et al., `Proximal Policy Optimization Algorithms
      <https://arxiv.org/abs/1707.06347>`_, 2017.

      Schulman, `Approximating KL Divergence
      <http://joschu.net/blog/kl-approx.html>`_, 2020.
    """
    check_type("model", model, Model, "fdl.models.functional(module)")
    distribution = checked(distribution)
    check_nonnegative(clip=clip, value_clip=value_clip)

    def objective(variables, batch, key=None, *, train=False):
        (params, values), model_state = model.apply(
            variables, batch["observation"], key=key, train=train
        )
        log_ratio = distribution.log_prob(params, batch["action"]) - batch["log_prob"]
        advantage = batch["advantage"]
        if normalize_advantages:
            advantage = standardized(advantage)
        epsilon, bonus = (_now(x, batch) for x in (clip, entropy_cost))
        policy = losses.clipped_surrogate(log_ratio, advantage, clip=epsilon)
        value = optax.l2_loss(values, batch["return"])
        if value_clip is not None:
            change = jnp.clip(values - batch["value"], -value_clip, value_clip)
            near = optax.l2_loss(batch["value"] + change, batch["return"])
            value = jnp.maximum(value, near)
        entropy = distribution.entropy(params)
        loss, parts = weighted_loss(policy, value, entropy, value_cost, bonus)
        clipped = jnp.abs(jnp.exp(log_ratio) - 1) > epsilon
        monitored = {
            **parts,
            # Schulman's k3: unbiased as −log r is, but never negative, and of less
            # variance.
            "approx_kl": metrics.mean(jnp.expm1(log_ratio) - log_ratio),
            "clip_fraction": metrics.mean(clipped.astype(jnp.float32)),
        }
        return loss, (model_state, monitored)

    return objective


def _now(value, batch):
    """Value of a schedule at the step of a batch, which is one for all its rows."""
    return value(batch["step"].ravel()[0]) if callable(value) else value
