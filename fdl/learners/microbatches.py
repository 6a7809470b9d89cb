"""Gradient of an objective, with accumulation over microbatches and loss scaling."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fdl.errors import UserError, check_parameters
from fdl.learners.step_outputs import objective_outputs
from fdl.trees import subtree, with_subtree
from fdl.types import Array, Batch, Key, Metrics, Objective, Params, PyTree, Variables


class Gradient(NamedTuple):
    """Loss and gradient of an objective on a batch.

    Attributes:
      loss: Loss, float [], without the loss scale.
      grads: Gradient with respect to the parameters, or a subtree of them; float32 if
        it was scaled or accumulated, and the parameters are of half precision.
      model_state: All other collections of variables, after the batch.
      metrics: Metrics of the objective.
    """

    loss: Array
    grads: Params
    model_state: PyTree
    metrics: Metrics


def gradient(
    objective: Objective, num_microbatches: int = 1, wrt: str = ""
) -> Callable[[Variables, Batch, Key, Array | None], Gradient]:
    """Gradient of an objective with respect to the parameters.

    With several microbatches it is accumulated, in the memory of one: g = Σ wᵢ gᵢ /
    Σ wᵢ, where wᵢ is the weight of the metric ``loss`` of microbatch i; all are equal
    if their sum is zero. If the loss is a mean over examples, this equals the gradient
    of the whole batch, however unequal the masks. Examples that depend on each other
    (batch normalisation, contrastive losses, standardised advantages) do so within a
    microbatch. Each microbatch has a key of its own.

    Args:
      objective: Objective to differentiate.
      num_microbatches: Number of microbatches; divides the size of a batch.
      wrt: Path of the subtree of the parameters to differentiate with respect to, such
        as ``generator``. Default: all of them.

    Returns:
      ``gradient(variables, batch, key, scale)``. The loss is multiplied by ``scale``,
      unless it is None, before differentiation, and the gradient divided by it.

    Raises:
      UserError: The number is below 1 or, when called, does not divide the batch.
    """
    check_parameters("objective", objective, "variables, batch, key, train=False")
    if num_microbatches < 1:
        raise UserError(f"num_microbatches={num_microbatches}: expected at least 1")

    single = _gradient_of_batch(objective, wrt)
    if num_microbatches == 1:
        return single

    def accumulated(variables, batch, key, scale):
        params = subtree(variables["params"], wrt)
        model_state = {k: v for k, v in variables.items() if k != "params"}
        batches = _split(batch, num_microbatches)

        def add(carry, i):
            model_state, total, mean = carry
            part = single(
                {"params": variables["params"], **model_state},
                jax.tree.map(lambda x: x[i], batches),
                jax.random.fold_in(key, i),
                scale,
            )
            weight = _weight(part.metrics)
            total += weight
            # As long as nothing counts, all parts count the same: a batch that is
            # masked entirely still has the gradient of a penalty.
            known = jnp.where(total > 0, total, 1)
            share = jnp.where(total > 0, weight / known, 1 / (i + 1))

            def moved(mean, x):
                # Selected, since a microbatch that is masked entirely may have a
                # gradient of NaN, which a share of zero does not remove.
                x = x.astype(mean.dtype)
                near = jnp.where(share > 0, mean + share * (x - mean), mean)
                return jnp.where(share < 1, near, x)

            mean = jax.tree.map(moved, mean, (part.loss, part.grads))
            return (part.model_state, total, mean), part.metrics

        zero = jnp.zeros((), jnp.float32)
        # In half precision, the mean would lose the digits of later microbatches.
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, _wide(x)), params)
        (model_state, _, (loss, grads)), metrics = jax.lax.scan(
            add, (model_state, zero, (zero, zeros)), jnp.arange(num_microbatches)
        )
        metrics = jax.tree.map(lambda x: x.sum(axis=0), metrics)
        return Gradient(loss, grads, model_state, metrics)

    return accumulated


def _gradient_of_batch(objective: Objective, wrt: str):
    """Gradient of one batch; see `gradient`."""

    def single(variables, batch, key, scale):
        params = variables["params"]
        model_state = {k: v for k, v in variables.items() if k != "params"}

        def loss_fn(part):
            outputs = objective(
                {"params": with_subtree(params, wrt, part), **model_state},
                batch,
                key,
                train=True,
            )
            # The unscaled loss is returned as auxiliary data: that of a scale may have
            # overflowed.
            loss, *_ = aux = objective_outputs(outputs)
            return (loss if scale is None else loss * scale), aux

        (_, (loss, model_state, metrics)), grads = jax.value_and_grad(
            loss_fn, has_aux=True
        )(subtree(params, wrt))
        if scale is not None:
            # Not in the type of the gradient: small ones vanish in float16.
            grads = jax.tree.map(lambda g: g / scale.astype(_wide(g)), grads)
        return Gradient(loss, grads, model_state, metrics)

    return single


def _weight(metrics: Metrics) -> Array:
    """Weight of a microbatch: that of the metric ``loss``."""
    loss: Any = metrics.get("loss")
    if not hasattr(loss, "weight"):
        raise UserError(
            "num_microbatches: expected a metric 'loss', an fdl.Mean, whose weight is "
            "that of a microbatch"
        )
    return loss.weight


def _wide(x: Array) -> jnp.dtype:
    return jnp.promote_types(x.dtype, jnp.float32)


def _split(batch: Batch, num_parts: int) -> Batch:
    """Microbatches [N, B / N, ...] of a batch [B, ...].

    Microbatch i consists of the rows i, i + N, i + 2 N, …: on a mesh, where a device
    holds consecutive rows, each device has a share of every microbatch.
    """

    def split(x):
        size = x.shape[0] if x.ndim else 0
        if size % num_parts or not size:
            raise UserError(
                f"num_microbatches={num_parts}: expected a divisor of the batch size, "
                f"{size}"
            )
        return x.reshape(size // num_parts, num_parts, *x.shape[1:]).swapaxes(0, 1)

    return jax.tree.map(split, batch)
