"""A limit to the norm of what a unit receives."""

import jax
import jax.numpy as jnp
import optax

from fdl.errors import UserError


def max_norm(limit: float) -> optax.GradientTransformation:
    """Projects kernels so that no unit has weights of a norm above a limit.

    w ← w · min(1, c / ‖w‖), after each update, for the weights w into one unit: all
    axes but the last. Parameters of less than two axes are left alone. It has to come
    after all that changes updates.

    Args:
      limit: c.

    Raises:
      UserError: The limit is not positive.

    References:
      Srivastava et al., `Dropout: A Simple Way to Prevent Neural Networks from
      Overfitting <https://jmlr.org/papers/v15/srivastava14a.html>`_, 2014.
    """
    if not limit > 0:
        raise UserError(f"max_norm={limit}: expected a positive number")

    def project(update, weight):
        if weight.ndim < 2:
            return update
        after = weight + update
        axes = tuple(range(weight.ndim - 1))
        norm = jnp.sqrt(jnp.square(after).sum(axes, keepdims=True))
        return jnp.where(norm > limit, after * (limit / norm) - weight, update)

    def update(updates, params):
        return jax.tree.map(project, updates, params)

    return optax.stateless(update)
