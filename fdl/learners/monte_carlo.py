"""Learners that do not learn, but measure what chance has in store."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from fdl.types import Array, Batch, Key, Learner, Metrics


class MonteCarloState(NamedTuple):
    """What has been measured so far.

    Attributes:
      step: How often, int32 [].
      key: What every measurement draws from.
      sums: The metrics of all of them, merged.
    """

    step: Array
    key: Key
    sums: Metrics

    @property
    def params(self) -> dict[str, Array]:
        """None: there is nothing to learn."""
        return {}


def monte_carlo(measure: Callable[[Key], Metrics]) -> Learner:
    """Measures anew in each step, say a network that is drawn from the key.

    It runs as every learner does, over seeds, fused, resumed. Its result after n steps
    are the metrics of all n samples together: see `monte_carlo_estimates`.

    Args:
      measure: ``measure(key) -> metrics``, traced; merged by adding. Data that it needs
        it closes over: batches are ignored (`data.no_data` makes such).

    Example:
      >>> from fdl.types import Mean
      >>> def heads(key):
      ...     return {"heads": Mean(jax.random.bernoulli(key).astype(float), 1.0)}
      >>> learner = monte_carlo(heads)
      >>> state = learner.init(jax.random.key(0))
      >>> for _ in range(100):
      ...     state, _ = learner.step(state, None)
      >>> round(monte_carlo_estimates(state)["heads"], 1)
      0.5
    """

    def init(key: Key) -> MonteCarloState:
        shapes = jax.eval_shape(measure, key)
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
        return MonteCarloState(jnp.zeros((), jnp.int32), key, zeros)

    def step(state: MonteCarloState, batch: Batch) -> tuple[MonteCarloState, Metrics]:
        del batch  # What is measured is drawn from the key.
        metrics = measure(jax.random.fold_in(state.key, state.step))
        sums = jax.tree.map(jnp.add, state.sums, metrics)
        return MonteCarloState(state.step + 1, state.key, sums), metrics

    return Learner(init, step)


def monte_carlo_estimates(state: MonteCarloState) -> dict[str, float]:
    """What all measurements say together: the evaluation of `monte_carlo`."""
    return {name: float(metric.compute()) for name, metric in state.sums.items()}
