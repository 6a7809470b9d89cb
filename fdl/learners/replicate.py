"""Learners replicated over seeds by `jax.vmap`."""

import jax
from jax.sharding import PartitionSpec

from fdl.types import Learner


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
