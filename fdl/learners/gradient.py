"""Gradient-based learners and their step."""

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
    """Learner that takes one gradient step on each batch.

    Args:
      model: Model, for the initial variables.
      objective: Objective to minimise.
      optimizer: Optimizer of its gradients.
      num_microbatches: Number of parts that the gradient of a batch is accumulated
        over; see `gradient`.
    """
    step = gradient_step(objective, optimizer, num_microbatches=num_microbatches)

    def init(key: Key) -> TrainState:
        return init_train_state(model, optimizer, key)

    return Learner(init, step, objective=objective, optimizer=optimizer)


def init_train_state(
    model: Model, optimizer: optax.GradientTransformation, key: Key
) -> TrainState:
    """Initial train state.

    Outside of `jax.jit`, leaves may share a buffer, which cannot be donated twice.

    Args:
      model: Model, for the initial variables.
      optimizer: Optimizer, for its initial state.
      key: Key of the initial variables and, in turn, of all steps.
    """
    init_key, step_key = jax.random.split(key)
    variables = dict(model.init(init_key))
    params = variables.pop("params")
    opt_state = jax.tree.map(_without_weak_type, optimizer.init(params))
    return TrainState(jnp.zeros((), jnp.int32), step_key, params, variables, opt_state)


def gradient_step(
    objective: Objective,
    optimizer: optax.GradientTransformation,
    *,
    num_microbatches: int = 1,
) -> Step:
    """Gradient step on an objective, which all gradient-based learners are made of.

    Optimizers are given more than the gradient: ``value``, ``grad`` and
    ``value_fn(params)`` for L-BFGS and a plateau schedule, and ``grad_fn(params, i)``
    for sharpness-aware minimisation, all of the same batch and random key.

    Args:
      objective: Objective to minimise, which is given a new key in each step.
      optimizer: Optimizer of its gradients, such as `optim.chain` makes.
      num_microbatches: Number of parts that the gradient of a batch is accumulated
        over; see `gradient`.

    Returns:
      A step on a `TrainState`; its metrics are those of the objective, and

      * ``grad_norm``, the global norm of the gradient of trainable parameters,
      * ``update_ratio``, the norm of the update relative to that of the parameters,
        ‖Δθ‖ / ‖θ‖,
      * ``learning_rate``, if the optimizer is made by `optim.chain`,
      * ``skipped``, the share of skipped steps, if the optimizer skips non-finite ones;
        a skipped step has no other metrics, and changes nothing,
      * ``loss_scale``, if there is one.
    """
    optimizer = optax.with_extra_args_support(optimizer)
    gradient_of = gradient(objective, num_microbatches)

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        # A function of the step alone, so that a resumed run draws the same numbers.
        key = jax.random.fold_in(state.key, state.step)
        scale = optim.loss_scale(state.opt_state)

        def at(params):
            return gradient_of(
                {"params": params, **state.model_state}, batch, key, scale
            )

        def value_fn(params, grad_fn=None):
            # The line searches of optax refuse extra arguments that `value_fn` does not
            # take, and `grad_fn` is given to every optimizer.
            del grad_fn
            return at(params).loss

        loss, grads, model_state, metrics = at(state.params)
        updates, opt_state = optimizer.update(
            grads,
            state.opt_state,
            state.params,
            value=loss,
            grad=grads,
            value_fn=value_fn,
            # The second argument counts the inner steps of `optax.contrib.sam`.
            grad_fn=lambda params, i: at(params).grads,
        )
        after = TrainState(
            state.step + 1,
            state.key,
            optax.apply_updates(state.params, updates),
            model_state,
            opt_state,
        )
        metrics = {**metrics, **_update_metrics(state, grads, updates, opt_state)}
        return _discard_if_skipped(state, after, metrics)

    return step


def _update_metrics(
    state: TrainState, grads: Params, updates: Params, opt_state: optax.OptState
) -> Metrics:
    """Metrics of an update: norms, and the learning rate if it is known."""
    params_norm = norm(state.params)
    # Relative to parameters of zero, an update has no size: the step is left out.
    defined = (params_norm > 0).astype(jnp.float32)
    ratio = jnp.where(params_norm > 0, norm(updates) / params_norm, 0)
    values = {"grad_norm": norm(grads), **optim.recorded_values(opt_state)}
    one = jnp.ones(())
    return {
        **{name: Mean(value, one) for name, value in values.items()},
        "update_ratio": Mean(ratio, defined),
    }


def _discard_if_skipped(
    before: TrainState, after: TrainState, metrics: Metrics
) -> tuple[TrainState, Metrics]:
    """State and metrics of a step, reverted if its optimizer has skipped it."""
    accepted = optim.accepted(after.opt_state)
    if accepted is None:
        return after, metrics
    # The parameters need no selection, as the update of a skipped step is zero. Metrics
    # of zero have no weight, and drop out of all means.
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


def _without_weak_type(x: Array) -> Array:
    """Array without a weak type.

    Some optimizers initialise their state with Python numbers. Their weak type is lost
    in the first update, after which the step would be traced again.
    """
    x = jnp.asarray(x)
    if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
        return x
    return jax.lax.convert_element_type(x, x.dtype)
