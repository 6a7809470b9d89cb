"""Sharpness-aware minimisation (SAM)."""

import math

import jax
import optax

from fdl.errors import UserError
from fdl.optim.transforms.logging import norm


def sharpness_aware(
    inner: optax.GradientTransformation, radius: float
) -> optax.GradientTransformationExtraArgs:
    """Sharpness-aware minimisation: descent along the gradient at w + ε.

    ε = ρ g(w) / ‖g(w)‖ is, to first order, the perturbation of norm ρ of the largest
    loss; the update is that of g(w + ε). A step takes two gradients, of the same batch
    and with the same dropout.

    Args:
      inner: Transformation of the gradient at the perturbed weights.
      radius: ρ, the norm of the perturbation.

    Raises:
      UserError: The radius is not positive, or infinite.

    References:
      Foret et al., `Sharpness-Aware Minimization for Efficiently Improving
      Generalization <https://arxiv.org/abs/2010.01412>`_, 2021.
    """
    if not 0 < radius < math.inf:
        raise UserError(f"sam={radius}: expected a positive, finite radius")
    inner = optax.with_extra_args_support(inner)

    def update(updates, state, params=None, *, grad_fn=None, **extra):
        if params is None or grad_fn is None:
            raise UserError(
                "grad_fn=None: expected the gradient function that sam needs"
            )
        # Without the small term, the perturbation of a zero gradient would be NaN.
        scale = radius / (norm(updates) + 1e-12)
        perturbed = jax.tree.map(
            lambda w, g: w + (scale * g).astype(w.dtype), params, updates
        )
        gradient = grad_fn(perturbed, 0)
        return inner.update(gradient, state, params, grad_fn=grad_fn, **extra)

    return optax.GradientTransformationExtraArgs(inner.init, update)
