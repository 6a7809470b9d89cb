"""Several steps of a learner fused into one call."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from fdl.learners.step_outputs import checked
from fdl.types import Array, Batch, Metrics, State, Step


def repeat(step: Step) -> Callable[[State, Batch, Array | int], tuple[State, Metrics]]:
    """Fusion of several steps into one call, with the results of single steps.

    Args:
      step: Step of a learner.

    Returns:
      ``steps(state, batches, num_steps) -> (state, metrics)``, where ``batches`` are
      stacked on a new leading axis of at least ``num_steps``, or None. The number of
      steps may be traced: calls of different lengths share one compilation. Metrics
      are merged over the steps.
    """
    # Jitted so that the shapes of the metrics and the loop share one trace.
    step = jax.jit(checked(step))

    def steps(state, batches, num_steps):
        def body(i, carry):
            state, metrics = carry
            batch = jax.tree.map(lambda x: x[i], batches)
            state, more = step(state, batch)
            return state, jax.tree.map(jnp.add, metrics, more)

        # The loop adds to the metrics, whose structure only the step knows.
        first = jax.tree.map(lambda x: x[0], batches)
        _, shapes = jax.eval_shape(step, state, first)
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
        return jax.lax.fori_loop(0, num_steps, body, (state, zeros))

    return steps
