"""Updates of one state in turn: two-player games, actor and critic, target networks."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import optax

from fdl.errors import UserError, check_positive, check_type
from fdl.learners.gradient_step import Update
from fdl.learners.step_outputs import as_metrics, with_prefix
from fdl.trees import subtree, with_subtree
from fdl.types import Batch, Key, Metrics, TrainState


def alternate(updates: Mapping[str, Update]) -> Update:
    """Alternating updates of one state, each on the same batch with a key of its own.

    Args:
      updates: Updates by name, in their order, such as a `gradient_step` with respect
        to a part of the parameters.

    Returns:
      An update, whose metrics are named ``name/metric``; `counted` makes a training
      step of it.

    Example:
      >>> import fdl, jax, jax.numpy as jnp, optax
      >>> def distance(variables, batch, key=None, *, train=False):
      ...     loss = sum(jnp.square(x - 1.0) for x in variables["params"].values())
      ...     return loss, ({}, {"loss": loss})
      >>> steps = {
      ...     name: fdl.gradient_step(distance, optax.sgd(0.25), wrt=name)
      ...     for name in ("actor", "critic")
      ... }
      >>> model = fdl.Model(lambda key: {"params": {"actor": 0.0, "critic": 3.0}}, None)
      >>> optimizers = {name: optax.sgd(0.25) for name in steps}
      >>> state = fdl.init_train_state(model, optimizers, jax.random.key(0))
      >>> state, metrics = fdl.learners.counted(alternate(steps))(state, None)
      >>> {name: float(x) for name, x in state.params.items()}
      {'actor': 0.5, 'critic': 2.0}
    """
    check_type("updates", updates, Mapping, "{'critic': update}")
    if not updates:
        raise UserError("updates={}: expected at least one")

    def update(state: TrainState, batch: Batch, key: Key) -> tuple[TrainState, Metrics]:
        metrics: dict = {}
        for i, (name, each) in enumerate(updates.items()):
            state, more = each(state, batch, jax.random.fold_in(key, i))
            metrics |= with_prefix(name, more)
        return state, metrics

    return update


def target_update(online: str, target: str, rate: float) -> Update:
    """Polyak averaging of a target network, θ' ← θ' + τ (θ − θ'), as an update.

    Args:
      online: Path of the parameters θ that are trained, such as ``critic``.
      target: Path of the parameters θ' of the target network, of the same shapes.
      rate: τ in (0, 1]; 1 copies the parameters.

    Raises:
      UserError: The rate is not in (0, 1].

    References:
      Lillicrap et al., `Continuous Control with Deep Reinforcement Learning
      <https://arxiv.org/abs/1509.02971>`_, 2015, section 3.
    """
    if not 0 < rate <= 1:
        raise UserError(f"rate={rate}: expected above 0 and at most 1")

    def update(state: TrainState, batch: Batch, key: Key) -> tuple[TrainState, Metrics]:
        del batch, key
        new, old = (subtree(state.params, path) for path in (online, target))
        mean = optax.incremental_update(new, old, rate)
        return state._replace(params=with_subtree(state.params, target, mean)), {}

    return update


def every(period: int, update: Update) -> Update:
    """Update in each n-th step only, for periodic target networks and slow actors.

    Args:
      period: Number of steps from one to the next, the first of them in step n - 1.
      update: Update, such as `target_update` of rate 1: a copy.

    Returns:
      An update; its metrics have no weight in other steps.

    Raises:
      UserError: The period is below 1.
    """
    check_positive(period=period)

    def run(state: TrainState, batch: Batch, key: Key) -> tuple[TrainState, Metrics]:
        state, metrics = update(state, batch, key)
        return state, as_metrics(metrics)

    def rest(state: TrainState, batch: Batch, key: Key) -> tuple[TrainState, Metrics]:
        _, shapes = jax.eval_shape(run, state, batch, key)
        return state, jax.tree.map(jnp.zeros_like, shapes)

    def maybe(state: TrainState, batch: Batch, key: Key) -> tuple[TrainState, Metrics]:
        due = (state.step + 1) % period == 0
        return jax.lax.cond(due, run, rest, state, batch, key)

    return maybe
