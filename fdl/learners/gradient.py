"""Gradient-based learners."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from fdl.errors import UserError, check_type
from fdl.learners.gradient_step import (
    Update,
    check_optimizer,
    gradient_step,
    opt_state_of,
    trained_part,
)
from fdl.optim.averaging import Average
from fdl.trees import subtree, with_subtree
from fdl.types import (
    Array,
    Batch,
    Key,
    Learner,
    Metrics,
    Model,
    Objective,
    Step,
    TrainState,
    Variables,
)


def gradient_learner(
    model: Model,
    objective: Objective,
    optimizer: optax.GradientTransformation,
    *,
    num_microbatches: int = 1,
    wrt: str = "",
    average: Average | None = None,
    statistics: Callable[[Variables], Variables] | None = None,
) -> Learner:
    """Learner that takes one gradient step on each batch.

    Args:
      model: Model, for the initial variables.
      objective: Objective to minimise.
      optimizer: Optimizer of its gradients.
      num_microbatches: Number of parts that the gradient of a batch is accumulated
        over; see `gradient`.
      wrt: Path of the part of the parameters to train; see `gradient_step`.
      average: Average of the variables, to evaluate in place of the last ones.
        Default: that of the optimizer, if `optim.chain` makes it with one.
      statistics: Function of the variables to evaluate that computes their batch
        statistics anew, such as a partial application of `refresh_statistics`. Models
        with batch normalisation need it where weights are averaged and statistics are
        not: with `optim.stochastic_average` and schedule-free optimizers.

    Raises:
      UserError: When the variables are asked for: they need ``statistics``.
    """
    check_type("model", model, Model, "fdl.models.functional(module)")
    average = average or getattr(optimizer, "average", None)
    update = gradient_step(
        objective,
        optimizer,
        num_microbatches=num_microbatches,
        wrt=wrt,
        average=average,
    )
    averaged_params = getattr(optimizer, "averaged_params", None)

    def init(key: Key) -> TrainState:
        optimizers = {wrt: optimizer} if wrt else optimizer
        return init_train_state(model, optimizers, key, average=average)

    def variables(state: TrainState) -> Variables:
        found = state.variables
        if averaged_params is not None and average is None:
            part = subtree(state.params, wrt)
            params = averaged_params(opt_state_of(state, wrt), part)
            found = {**found, "params": with_subtree(state.params, wrt, params)}
        elif average is None or not average.refresh:
            return found
        if "batch_stats" not in found:
            return found
        if statistics is None:
            raise UserError(
                "statistics=None: expected a function such as refresh_statistics, as "
                "the batch statistics of this model are of other weights than averages"
            )
        fresh = statistics(found)["batch_stats"]
        frozen = getattr(optimizer, "frozen", None)
        kept = trained_part(found["batch_stats"], fresh, wrt, frozen)
        return {**found, "batch_stats": kept}

    return Learner(
        init, counted(update), variables, objective=objective, optimizer=optimizer
    )


def init_train_state(
    model: Model,
    optimizer: optax.GradientTransformation | Mapping[str, Any],
    key: Key,
    *,
    average: Average | None = None,
) -> TrainState:
    """Initial train state.

    Outside of `jax.jit`, leaves may share a buffer, which cannot be donated twice.

    Args:
      model: Model, for the initial variables.
      optimizer: Optimizer, for its initial state; or several, by the path of the
        parameters that each trains.
      key: Key of the initial variables and, in turn, of all steps.
      average: Average of the variables. Default: that of an optimizer that has one.
    """
    check_type("model", model, Model, "fdl.models.functional(module)")
    several = optimizer.values() if isinstance(optimizer, Mapping) else [optimizer]
    for one in several:
        check_optimizer(one)
    own = [one.average for one in several if getattr(one, "average", None)]
    if len(own) > 1:
        # Each would update the average that is one for all.
        raise UserError(
            f"{len(own)} optimizers with ema or swa: expected at most one, as a step "
            "updates the average once"
        )
    average = average or (own[0] if own else None)
    init_key, step_key = jax.random.split(key)
    variables = model.init(init_key)
    if not isinstance(variables, Mapping) or "params" not in variables:
        kind = type(variables).__name__
        found = [*variables] if isinstance(variables, Mapping) else kind
        raise UserError(
            f"model.init returns {found}: expected collections by name, with 'params'"
        )
    params = variables["params"]
    model_state = {name: variables[name] for name in variables if name != "params"}
    if isinstance(optimizer, Mapping):
        opt_state: Any = {
            path: one.init(subtree(params, path)) for path, one in optimizer.items()
        }
    else:
        opt_state = optimizer.init(params)
    return TrainState(
        jnp.zeros((), jnp.int32),
        step_key,
        params,
        model_state,
        jax.tree.map(_without_weak_type, opt_state),
        None if average is None else average.init(variables),
    )


def counted(update: Update) -> Step:
    """Training step of an update: it is given the key of the step, and counted.

    Args:
      update: ``update(state, batch, key) -> (state, metrics)``, such as a
        `gradient_step` or a composition of several.
    """

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        # A function of the step alone, so that a resumed run draws the same numbers.
        key = jax.random.fold_in(state.key, state.step)
        state, metrics = update(state, batch, key)
        return state._replace(step=state.step + 1), metrics

    return step


def _without_weak_type(x: Array) -> Array:
    """Array without a weak type.

    Some optimizers initialise their state with Python numbers. Their weak type is lost
    in the first update, after which the step would be traced again.
    """
    x = jnp.asarray(x)
    if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
        return x
    return jax.lax.convert_element_type(x, x.dtype)
