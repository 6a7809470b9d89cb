"""Sharpness-aware minimisation."""

import jax
import optax

from fdl.errors import UserError


def sharpness_aware(
    inner: optax.GradientTransformation, radius: float
) -> optax.GradientTransformationExtraArgs:
    """Descends the gradient at the worst point near by, rather than here.

    ε = ρ g(w) / ‖g(w)‖, and the update is that of g(w + ε): two gradients a step. Both
    are of the same batch, with the same dropout.

    Args:
      inner: What to make of the second gradient.
      radius: ρ.

    Raises:
      UserError: The radius is not positive.

    References:
      Foret et al., `Sharpness-Aware Minimization for Efficiently Improving
      Generalization <https://arxiv.org/abs/2010.01412>`_, 2021.
    """
    if not radius > 0:
        raise UserError(f"sam={radius}: expected a positive radius")
    inner = optax.with_extra_args_support(inner)

    def update(updates, state, params=None, *, grad_fn=None, **extra):
        if params is None or grad_fn is None:
            raise ValueError("sam takes a second gradient: update needs grad_fn")
        # The smallest number keeps a gradient of zero from becoming NaN.
        scale = radius / (optax.tree.norm(updates) + 1e-12)
        near = jax.tree.map(
            lambda w, g: w + (scale * g).astype(w.dtype), params, updates
        )
        gradient = grad_fn(near, 0)
        return inner.update(gradient, state, params, grad_fn=grad_fn, **extra)

    return optax.GradientTransformationExtraArgs(inner.init, update)
