"""Learners: what is common to supervised, unsupervised and reinforcement learning."""

import jax
import jax.numpy as jnp
import optax

from fdl import optim
from fdl.learners.microbatches import gradient
from fdl.optim.transforms.logging import norm
from fdl.types import (
    Array,
    Batch,
    Key,
    Learner,
    Mean,
    Metrics,
    Model,
    Objective,
    Params,
    Step,
    TrainState,
)


def gradient_learner(
    model: Model,
    objective: Objective,
    optimizer: optax.GradientTransformation,
    *,
    num_microbatches: int = 1,
) -> Learner:
    """Learns a model from given batches, one step down the gradient for each.

    Args:
      model: Makes the variables to begin with.
      objective: What to minimise.
      optimizer: What to make of the gradient.
      num_microbatches: In how many parts to take the gradient of a batch.
    """
    step = gradient_step(objective, optimizer, num_microbatches=num_microbatches)

    def init(key: Key) -> TrainState:
        return init_train_state(model, optimizer, key)

    return Learner(init, step, objective=objective, optimizer=optimizer)


def init_train_state(
    model: Model, optimizer: optax.GradientTransformation, key: Key
) -> TrainState:
    """The state before the first step. Jit it, or leaves may share a buffer."""
    init_key, step_key = jax.random.split(key)
    variables = dict(model.init(init_key))
    params = variables.pop("params")
    opt_state = jax.tree.map(_strong, optimizer.init(params))
    return TrainState(jnp.zeros((), jnp.int32), step_key, params, variables, opt_state)


def gradient_step(
    objective: Objective,
    optimizer: optax.GradientTransformation,
    *,
    num_microbatches: int = 1,
) -> Step:
    """One step down the gradient of an objective: the atom of all learners.

    Optimizers that ask for more than the gradient get it: ``value``, ``grad`` and
    ``value_fn(params)`` as L-BFGS and a plateau want them, and ``grad_fn(params, i)``
    for sharpness-aware minimisation, all of this batch and of the same chance.

    Args:
      objective: What to minimise. It sees the variables, a batch and a fresh key.
      optimizer: What to make of the gradient; `optim.chain` makes one.
      num_microbatches: In how many parts to take the gradient of a batch; see
        `gradient`.

    Returns:
      A step on a `TrainState`; its metrics are those of the objective, and

      * ``grad_norm``, the global norm of the gradient of what is not frozen,
      * ``update_ratio``, that of the update, ‖Δθ‖ / ‖θ‖,
      * ``learning_rate``, if the optimizer is of `optim.chain`,
      * ``skipped``, the share of steps that were not taken, if it guards them; such a
        step has no other metrics, and changes nothing,
      * ``loss_scale``, if there is one.
    """
    optimizer = optax.with_extra_args_support(optimizer)
    gradient_of = gradient(objective, num_microbatches)

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        key = jax.random.fold_in(state.key, state.step)
        scale = optim.loss_scale(state.opt_state)

        def at(params):
            return gradient_of(
                {"params": params, **state.model_state}, batch, key, scale
            )

        def value_fn(params, grad_fn=None):
            del grad_fn  # Optax's line search hands on what it has no use for.
            return at(params).loss

        loss, grads, model_state, metrics = at(state.params)
        updates, opt_state = optimizer.update(
            grads,
            state.opt_state,
            state.params,
            value=loss,
            grad=grads,
            value_fn=value_fn,
            grad_fn=lambda params, i: at(params).grads,
        )
        after = TrainState(
            state.step + 1,
            state.key,
            optax.apply_updates(state.params, updates),
            model_state,
            opt_state,
        )
        metrics = {**metrics, **_seen(state, grads, updates, opt_state)}
        return _unless_skipped(state, after, metrics)

    return step


def _seen(
    state: TrainState, grads: Params, updates: Params, opt_state: optax.OptState
) -> Metrics:
    """What there is to say of an update."""
    size = norm(state.params)
    counts = (size > 0).astype(jnp.float32)  # Nothing is a share of zero.
    ratio = jnp.where(size > 0, norm(updates) / size, 0)
    known = {"grad_norm": norm(grads), **optim.watched(opt_state)}
    one = jnp.ones(())
    return {
        **{name: Mean(value, one) for name, value in known.items()},
        "update_ratio": Mean(ratio, counts),
    }


def _unless_skipped(
    before: TrainState, after: TrainState, metrics: Metrics
) -> tuple[TrainState, Metrics]:
    """A step, or if its optimizer has not accepted it, one that leaves no trace."""
    accepted = optim.accepted(after.opt_state)
    if accepted is None:
        return after, metrics
    model_state, metrics = jax.tree.map(
        lambda x, old: jnp.where(accepted, x, old),
        (after.model_state, metrics),
        (before.model_state, jax.tree.map(jnp.zeros_like, metrics)),
    )
    one = jnp.ones(())
    scale = optim.loss_scale(before.opt_state)
    extra = {"skipped": Mean(1 - accepted.astype(jnp.float32), one)}
    if scale is not None:
        extra["loss_scale"] = Mean(scale, one)
    return after._replace(model_state=model_state), {**metrics, **extra}


def _strong(x: Array) -> Array:
    """An array whose type gives way to none, so that no second step is traced."""
    x = jnp.asarray(x)
    if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
        return x
    return jax.lax.convert_element_type(x, x.dtype)
