"""Monte Carlo estimation, with the interface of a learner."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from fdl.errors import check_type
from fdl.learners.step_outputs import as_metrics
from fdl.types import Array, Batch, Key, Learner, Metrics, Variables


class MonteCarloState(NamedTuple):
    """State of a Monte Carlo estimation.

    Attributes:
      step: Number of samples, int32 [].
      key: Root key, from which those of all samples are derived.
      sums: Metrics of all samples, merged.
    """

    step: Array
    key: Key
    sums: Metrics

    @property
    def variables(self) -> Variables:
        """No parameters, and the estimates as a collection of their own."""
        values = {name: metric.compute() for name, metric in self.sums.items()}
        return {"params": {}, "estimates": values}


def monte_carlo(measure: Callable[[Key], Metrics]) -> Learner:
    """Monte Carlo estimation of metrics, one sample in each step.

    A sample may be a network with random weights, say. The estimation runs as any
    learner does: over seeds, fused, resumed. Its result after n steps are the merged
    metrics of n samples; see `monte_carlo_estimates`.

    Args:
      measure: ``measure(key) -> metrics`` of one sample; traced. It closes over data
        that it needs, as batches are ignored (`data.no_data` makes empty ones).

    Example:
      >>> from fdl.types import Mean
      >>> def heads(key):
      ...     return {"heads": Mean(jax.random.bernoulli(key).astype(float), 1.0)}
      >>> learner = monte_carlo(heads)
      >>> state = learner.init(jax.random.key(0))
      >>> for _ in range(100):
      ...     state, _ = learner.step(state, None)
      >>> round(monte_carlo_estimates(learner.variables(state))["heads"], 1)
      0.5
    """

    def metrics_of(key: Key) -> Metrics:
        return as_metrics(measure(key))

    def init(key: Key) -> MonteCarloState:
        shapes = jax.eval_shape(metrics_of, key)
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
        return MonteCarloState(jnp.zeros((), jnp.int32), key, zeros)

    def step(state: MonteCarloState, batch: Batch) -> tuple[MonteCarloState, Metrics]:
        del batch
        metrics = metrics_of(jax.random.fold_in(state.key, state.step))
        sums = jax.tree.map(jnp.add, state.sums, metrics)
        return MonteCarloState(state.step + 1, state.key, sums), metrics

    return Learner(init, step)


def monte_carlo_estimates(variables: Variables) -> dict[str, float]:
    """Metrics of all samples of a Monte Carlo estimation, as floats by name.

    Args:
      variables: Variables of the learner, with a collection ``estimates``.
    """
    check_type("variables", variables, Mapping, "learner.variables(state)")
    return {name: float(value) for name, value in variables["estimates"].items()}
