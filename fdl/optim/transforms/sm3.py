"""SM3, whose learning rate may change."""

import jax
import jax.numpy as jnp
import optax


def sm3(
    learning_rate: optax.ScalarOrSchedule, momentum: float = 0.9
) -> optax.GradientTransformationExtraArgs:
    """`optax.sm3`, but of any schedule, and of scalars as of arrays [1].

    Args:
      learning_rate: η.
      momentum: How much of the old direction is kept.

    References:
      Anil et al., `Memory-Efficient Adaptive Optimization
      <https://arxiv.org/abs/1901.11150>`_, 2019.
    """
    inner = optax.scale_by_sm3(momentum)

    def init(params):
        return inner.init(jax.tree.map(jnp.atleast_1d, params))

    def update(updates, state, params=None):
        del params  # It goes by gradients alone.
        found, state = inner.update(jax.tree.map(jnp.atleast_1d, updates), state)
        return jax.tree.map(
            lambda x, like: x.reshape(like.shape), found, updates
        ), state

    return optax.chain(
        optax.GradientTransformation(init, update),
        optax.scale_by_learning_rate(learning_rate),
    )
