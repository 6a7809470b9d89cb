"""Learners: what is common to supervised, unsupervised and reinforcement learning."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jax.sharding import PartitionSpec

from fdl.types import (
    Array,
    Batch,
    Key,
    Learner,
    Mean,
    Metrics,
    Model,
    Objective,
    State,
    Step,
    TrainState,
)


def gradient_learner(
    model: Model, objective: Objective, optimizer: optax.GradientTransformation
) -> Learner:
    """Learns a model from given batches, one step down the gradient for each.

    Args:
      model: Makes the variables to begin with.
      objective: What to minimise.
      optimizer: What to make of the gradient.
    """

    def init(key: Key) -> TrainState:
        return init_train_state(model, optimizer, key)

    return Learner(init, gradient_step(objective, optimizer))


def init_train_state(
    model: Model, optimizer: optax.GradientTransformation, key: Key
) -> TrainState:
    """The state before the first step. Jit it, or leaves may share a buffer."""
    init_key, step_key = jax.random.split(key)
    variables = dict(model.init(init_key))
    params = variables.pop("params")
    return TrainState(
        jnp.zeros((), jnp.int32), step_key, params, variables, optimizer.init(params)
    )


def gradient_step(
    objective: Objective, optimizer: optax.GradientTransformation
) -> Step:
    """One step down the gradient of an objective: the atom of all learners.

    Args:
      objective: What to minimise. It sees the variables, a batch and a fresh key.
      optimizer: What to make of the gradient.

    Returns:
      A step on a `TrainState`; its metrics are those of the objective and the global
      norm of the gradient, ``grad_norm``.
    """

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        key = jax.random.fold_in(state.key, state.step)

        def loss_fn(params):
            variables = {"params": params, **state.model_state}
            return objective(variables, batch, key, train=True)

        grads, (model_state, metrics) = jax.grad(loss_fn, has_aux=True)(state.params)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        state = state._replace(
            step=state.step + 1,
            params=optax.apply_updates(state.params, updates),
            model_state=model_state,
            opt_state=opt_state,
        )
        return state, {
            **metrics,
            "grad_norm": Mean(optax.tree.norm(grads), jnp.ones(())),
        }

    return step


def repeat(step: Step) -> Callable[[State, Batch, Array | int], tuple[State, Metrics]]:
    """Fuses steps into one call, with the same numbers as one at a time.

    Args:
      step: What to repeat.

    Returns:
      ``steps(state, batches, num_steps) -> (state, metrics)``, where ``batches`` are
      stacked on a new leading axis of at least ``num_steps``, or None. The number of
      steps may be traced: calls of different lengths share one compilation. Metrics
      are merged over the steps.
    """
    step = jax.jit(step)  # Traced once: for the shapes of the metrics and the loop.

    def steps(state, batches, num_steps):
        def body(i, carry):
            state, metrics = carry
            batch = jax.tree.map(lambda x: x[i], batches)
            state, more = step(state, batch)
            return state, jax.tree.map(jnp.add, metrics, more)

        first = jax.tree.map(lambda x: x[0], batches)
        _, shapes = jax.eval_shape(step, state, first)
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
        return jax.lax.fori_loop(0, num_steps, body, (state, zeros))

    return steps


def over_seeds(learner: Learner) -> Learner:
    """Trains many seeds as one learner: ``init`` takes keys [S], all else gains [S].

    Example:
      >>> init, step = over_seeds(learner)[:2]  # doctest: +SKIP
      >>> states = init(jax.vmap(jax.random.key)(jnp.arange(5)))  # doctest: +SKIP
    """
    partition = jax.tree.map(
        lambda spec: PartitionSpec(None, *spec),
        learner.partition,
        is_leaf=lambda x: isinstance(x, PartitionSpec),
    )
    return Learner(jax.vmap(learner.init), jax.vmap(learner.step), partition)
