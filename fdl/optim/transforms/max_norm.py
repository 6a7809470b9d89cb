"""Max-norm constraint on the incoming weights of each unit."""

import jax
import jax.numpy as jnp
import optax

from fdl.errors import UserError
from fdl.losses.half_precision import at_least_float32


def max_norm(limit: float) -> optax.GradientTransformation:
    """Max-norm constraint: projection of kernels after each update.

    w ← w · min(1, c / ‖w‖) for the incoming weights w of a unit, which are all axes of
    a kernel but the last. Parameters of less than two axes are unchanged. It has to
    come after all transformations that change updates.

    Args:
      limit: c, the maximum norm.

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
        after = at_least_float32(weight) + update
        axes = tuple(range(weight.ndim - 1))
        norm = jnp.sqrt(jnp.square(after).sum(axes, keepdims=True))
        # Selected rather than multiplied by min(1, c / ‖w‖), so that an update within
        # the limit keeps its bits; the quotient of a zero norm is not selected.
        projected = jnp.where(norm > limit, after * (limit / norm) - weight, update)
        return projected.astype(update.dtype)

    def update(updates, params):
        return jax.tree.map(project, updates, params)

    return optax.stateless(update)
