"""SM3 with a learning rate schedule."""

import jax
import jax.numpy as jnp
import optax


def sm3(
    learning_rate: optax.ScalarOrSchedule, momentum: float = 0.9
) -> optax.GradientTransformationExtraArgs:
    """SM3, a memory-efficient adaptive optimizer.

    Unlike `optax.sm3`, it takes a schedule, and parameters may be scalars.

    Args:
      learning_rate: η, a number or a schedule.
      momentum: Decay of the moving average of the updates.

    References:
      Anil et al., `Memory-Efficient Adaptive Optimization
      <https://arxiv.org/abs/1901.11150>`_, 2019.
    """
    inner = optax.scale_by_sm3(momentum)

    # Optax keeps one accumulator for each axis: a scalar, which has none, is given one.
    def init(params):
        return inner.init(jax.tree.map(jnp.atleast_1d, params))

    def update(updates, state, params=None):
        del params
        new_updates, state = inner.update(jax.tree.map(jnp.atleast_1d, updates), state)
        return jax.tree.map(
            lambda x, like: x.reshape(like.shape), new_updates, updates
        ), state

    return optax.chain(
        optax.GradientTransformation(init, update),
        optax.scale_by_learning_rate(learning_rate),
    )
