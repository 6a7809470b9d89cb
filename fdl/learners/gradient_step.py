"""Gradient step on an objective."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from fdl.errors import UserError, check_type
from fdl.learners.microbatches import gradient
from fdl.optim.averaging import Average
from fdl.optim.report import Report
from fdl.optim.transforms.logging import norm
from fdl.trees import has_subtree, subtree, with_subtree
from fdl.types import (
    Array,
    Batch,
    Key,
    Mean,
    Metrics,
    Objective,
    Params,
    PyTree,
    TrainState,
)

# ``update(state, batch, key) -> (state, metrics)``; the count of steps stays.
Update = Callable[[TrainState, Batch, Key], tuple[TrainState, Metrics]]


def gradient_step(
    objective: Objective,
    optimizer: optax.GradientTransformation,
    *,
    num_microbatches: int = 1,
    wrt: str = "",
    average: Average | None = None,
) -> Update:
    """Gradient step on an objective, which all gradient-based learners are made of.

    Optimizers are given more than the gradient: ``value``, ``grad`` and
    ``value_fn(params)`` for L-BFGS and a plateau schedule, and ``grad_fn(params, i)``
    for sharpness-aware minimisation, all of the same batch and random key.

    The objective sees all variables. Of several networks in one state, each is trained
    by a step of its own, with respect to its part of the parameters; running statistics
    of the other parts stay as they are.

    Args:
      objective: Objective to minimise.
      optimizer: Optimizer of its gradients, any of optax or one of `optim.chain`.
      num_microbatches: Number of parts that the gradient of a batch is accumulated
        over; see `gradient`.
      wrt: Path of the part of the parameters to train, such as ``generator``; the state
        of its optimizer is ``opt_state[wrt]``. Default: all of them.
      average: Average of the variables to update; of several steps, in one of them.
        Default: that of the optimizer, if `optim.chain` makes it with one.

    Returns:
      ``update(state, batch, key)`` of a `TrainState`, which does not count the step
      (see `counted`); its metrics are those of the objective, and

      * ``grad_norm``, the global norm of the gradient of trainable parameters,
      * ``update_ratio``, the norm of the update relative to that of the parameters,
        ‖Δθ‖ / ‖θ‖,
      * ``learning_rate``, if the optimizer reports it, as `optim.chain` does,
      * ``skipped``, the share of skipped steps, if the optimizer skips non-finite ones;
        a skipped step has no other metrics, and changes nothing,
      * ``loss_scale``, if there is one.
    """
    check_optimizer(optimizer)
    report = getattr(optimizer, "report", _no_report)
    average = average or getattr(optimizer, "average", None)
    frozen = getattr(optimizer, "frozen", None)
    optimizer = optax.with_extra_args_support(optimizer)
    gradient_of = gradient(objective, num_microbatches, wrt)

    def update(state: TrainState, batch: Batch, key: Key):
        params, opt_state = subtree(state.params, wrt), opt_state_of(state, wrt)
        scale = report(opt_state).loss_scale

        def at(part):
            whole = with_subtree(state.params, wrt, part)
            return gradient_of(
                {"params": whole, **state.model_state}, batch, key, scale
            )

        def value_fn(part, grad_fn=None):
            # The line searches of optax refuse extra arguments that `value_fn` does not
            # take, and `grad_fn` is given to every optimizer.
            del grad_fn
            return at(part).loss

        loss, grads, model_state, metrics = at(params)
        updates, opt_state = optimizer.update(
            grads,
            opt_state,
            params,
            value=loss,
            grad=grads,
            value_fn=value_fn,
            # The second argument counts the inner steps of `optax.contrib.sam`.
            grad_fn=lambda part, i: at(part).grads,
        )
        reported = report(opt_state)
        after = _after(state, params, updates, opt_state, model_state, wrt, frozen)
        after = _averaged(after, average)
        metrics = {**metrics, **_update_metrics(params, grads, updates, reported)}
        return _discard_if_skipped(state, after, metrics, reported, scale)

    return update


def check_optimizer(optimizer: Any) -> None:
    """Raises `UserError` if an optimizer is none: if it was not called, say."""
    kind = optax.GradientTransformation
    check_type("optimizer", optimizer, kind, "optax.adam(1e-3)")


def _no_report(opt_state: optax.OptState) -> Report:
    del opt_state
    return Report({})


def opt_state_of(state: TrainState, wrt: str = "") -> Any:
    """State of the optimizer of a part of the parameters; see `gradient_step`.

    Raises:
      UserError: The state has no optimizer of this path.
    """
    if not wrt:
        return state.opt_state
    if not isinstance(state.opt_state, Mapping) or wrt not in state.opt_state:
        raise UserError(
            f"wrt={wrt!r}: expected an optimizer of this path in the state: "
            f"init_train_state(model, {{{wrt!r}: optimizer}}, key)"
        )
    return state.opt_state[wrt]


def _after(
    state: TrainState,
    params: Params,
    updates: Params,
    opt_state: optax.OptState,
    model_state: PyTree,
    wrt: str,
    frozen: Callable[[PyTree], PyTree] | None,
) -> TrainState:
    """State after an update of a part of the parameters."""
    new = optax.apply_updates(params, updates)
    if wrt:
        opt_state = {**state.opt_state, wrt: opt_state}
    return state._replace(
        params=with_subtree(state.params, wrt, new),
        model_state={
            name: trained_part(state.model_state.get(name), tree, wrt, frozen)
            for name, tree in model_state.items()
        },
        opt_state=opt_state,
    )


def _averaged(state: TrainState, average: Average | None) -> TrainState:
    """State with its average updated, if there is one.

    Raises:
      UserError: The state has no average.
    """
    if average is None:
        return state
    if state.average is None:
        raise UserError(
            "state.average=None: expected an average in the state: "
            "init_train_state(..., average=average)"
        )
    updated = average.update(state.average, state.train_variables)
    return state._replace(average=updated)


def trained_part(
    old: PyTree, new: PyTree, wrt: str, frozen: Callable[[PyTree], PyTree] | None
) -> PyTree:
    """New collection of variables, but for the parts that are not trained.

    Args:
      old: Collection before; None if there was none.
      new: Collection after.
      wrt: Path of the part that is trained; empty for all.
      frozen: Mask of what the optimizer does not train, or None.
    """
    if old is None:
        return new
    if wrt:
        if not has_subtree(new, wrt):
            return old
        new = with_subtree(old, wrt, subtree(new, wrt))
    if frozen is None:
        return new
    return jax.tree.map(lambda out, a, b: a if out else b, frozen(new), old, new)


def _update_metrics(
    params: Params, grads: Params, updates: Params, reported: Report
) -> Metrics:
    """Metrics of an update: norms, and what its optimizer reports."""
    params_norm = norm(params)
    # Relative to parameters of zero, an update has no size: the step is left out.
    defined = (params_norm > 0).astype(jnp.float32)
    ratio = jnp.where(params_norm > 0, norm(updates) / params_norm, 0)
    values = {"grad_norm": norm(grads), **reported.metrics}
    one = jnp.ones(())
    return {
        **{name: Mean(value, one) for name, value in values.items()},
        "update_ratio": Mean(ratio, defined),
    }


def _discard_if_skipped(
    before: TrainState,
    after: TrainState,
    metrics: Metrics,
    reported: Report,
    scale: Array | None,
) -> tuple[TrainState, Metrics]:
    """State and metrics of a step, reverted if its optimizer has skipped it."""
    accepted = reported.accepted
    if accepted is None:
        return after, metrics
    # The parameters need no selection, as the update of a skipped step is zero. Metrics
    # of zero have no weight, and drop out of all means.
    kept = after.model_state, after.average, metrics
    zeros = jax.tree.map(jnp.zeros_like, metrics)
    model_state, average, metrics = jax.tree.map(
        lambda x, old: jnp.where(accepted, x, old),
        kept,
        (before.model_state, before.average, zeros),
    )
    one = jnp.ones(())
    extra = {"skipped": Mean(1 - accepted.astype(jnp.float32), one)}
    if scale is not None:
        extra["loss_scale"] = Mean(scale, one)
    after = after._replace(model_state=model_state, average=average)
    return after, {**metrics, **extra}
