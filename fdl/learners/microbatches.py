"""The gradient of an objective, of a whole batch or of parts one after the other."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from fdl.errors import UserError
from fdl.types import Array, Batch, Key, Metrics, Objective, Params, PyTree, Variables


class Gradient(NamedTuple):
    """What an objective says of a batch.

    Attributes:
      loss: What is minimised, float [].
      grads: Its gradient.
      model_state: All variables but the parameters, after the batch.
      metrics: What is watched.
    """

    loss: Array
    grads: Params
    model_state: PyTree
    metrics: Metrics


def gradient(
    objective: Objective, num_microbatches: int = 1
) -> Callable[[Variables, Batch, Key, Array | None], Gradient]:
    """The gradient of an objective with respect to the parameters.

    In several parts, it takes the memory of one: g = Σ wᵢ gᵢ / Σ wᵢ, where wᵢ is the
    weight of the ``loss`` among the metrics of part i. So it equals that of the whole
    batch, however unequal the masks of the parts, if the loss is a mean over examples.
    Where examples see each other (batch norm, contrastive losses, advantages that are
    standardised), they see those of their own part. Each part has a key of its own.

    Args:
      objective: What to differentiate.
      num_microbatches: In how many parts.

    Returns:
      ``gradient(variables, batch, key, scale)``; the loss is multiplied by the scale
      before it is differentiated, if there is one, and its gradient divided by it.

    Raises:
      UserError: There are no such parts.
    """
    if num_microbatches < 1:
        raise UserError(f"num_microbatches={num_microbatches}: expected at least 1")

    def part(variables, batch, key, scale):
        model_state = {k: v for k, v in variables.items() if k != "params"}

        def loss_fn(params):
            loss, aux = objective(
                {"params": params, **model_state}, batch, key, train=True
            )
            return (loss if scale is None else loss * scale), (loss, *aux)

        (_, (loss, model_state, metrics)), grads = jax.value_and_grad(
            loss_fn, has_aux=True
        )(variables["params"])
        if scale is not None:
            grads = jax.tree.map(lambda g: (g / scale).astype(g.dtype), grads)
        return Gradient(loss, grads, model_state, metrics)

    def parts(variables, batch, key, scale):
        params = variables["params"]
        model_state = {k: v for k, v in variables.items() if k != "params"}
        batches = _split(batch, num_microbatches)

        def add(carry, i):
            model_state, weight, loss, grads = carry
            found = part(
                {"params": params, **model_state},
                jax.tree.map(lambda x: x[i], batches),
                jax.random.fold_in(key, i),
                scale,
            )
            w = found.metrics["loss"].weight

            def weighted(total, x):
                # A part in which nothing counts may have a gradient of NaN.
                return total + jnp.where(w > 0, x.astype(total.dtype) * w, 0)

            carry = (
                found.model_state,
                weight + w,
                *jax.tree.map(weighted, (loss, grads), (found.loss, found.grads)),
            )
            return carry, found.metrics

        zero = jnp.zeros((), jnp.float32)
        zeros = jax.tree.map(
            lambda x: jnp.zeros(x.shape, _wide(x)), variables["params"]
        )
        (model_state, weight, loss, grads), metrics = jax.lax.scan(
            add, (model_state, zero, zero, zeros), jnp.arange(num_microbatches)
        )
        weight = jnp.where(weight > 0, weight, 1)
        grads = jax.tree.map(lambda g, x: (g / weight).astype(x.dtype), grads, params)
        metrics = jax.tree.map(lambda x: x.sum(axis=0), metrics)
        return Gradient(loss / weight, grads, model_state, metrics)

    return part if num_microbatches == 1 else parts


def _wide(x: Array) -> jnp.dtype:
    return jnp.promote_types(x.dtype, jnp.float32)


def _split(batch: Batch, num_parts: int) -> Batch:
    """Parts [N, B / N, ...]; each takes of every device's share of the batch."""

    def split(x):
        size = x.shape[0] if x.ndim else 0
        if size % num_parts or not size:
            raise UserError(
                f"num_microbatches={num_parts} does not divide a batch of {size}"
            )
        return x.reshape(size // num_parts, num_parts, *x.shape[1:]).swapaxes(0, 1)

    return jax.tree.map(split, batch)
