"""Learners replicated over seeds by `jax.vmap`."""

import jax
from jax.sharding import PartitionSpec

from fdl.learners.step_outputs import checked
from fdl.types import Learner


def over_seeds(learner: Learner) -> Learner:
    """Learner of S seeds in parallel, by `jax.vmap`.

    Its ``init`` takes keys [S]; states, batches and metrics have a leading axis [S].

    Args:
      learner: Learner of a single seed.

    Example:
      >>> init, step = over_seeds(learner)[:2]  # doctest: +SKIP
      >>> states = init(jax.vmap(jax.random.key)(jnp.arange(5)))  # doctest: +SKIP
    """
    # The axis of the seeds is not sharded; those behind it are, as for one seed.
    partition = jax.tree.map(
        lambda spec: PartitionSpec(None, *spec),
        learner.partition,
        is_leaf=lambda x: isinstance(x, PartitionSpec),
    )
    return Learner(
        jax.vmap(learner.init), jax.vmap(checked(learner.step)), partition=partition
    )
