"""Gaussian weight noise, as a regulariser."""

import jax

from fdl.errors import UserError
from fdl.optim.transforms.half_precision import at_least_float32
from fdl.types import Objective


def noisy_weights(objective: Objective, std: float) -> Objective:
    """Weight noise: an objective at w + ε, ε ~ N(0, σ²), drawn anew for each batch.

    There is noise in training only; evaluation uses the weights themselves. For a
    squared error and a small σ, it is equivalent to a penalty σ² E‖∂ŷ/∂w‖², the
    sensitivity of the outputs to the weights.

    Args:
      objective: Objective to minimise.
      std: σ, the standard deviation of the noise.

    References:
      Goodfellow, Bengio and Courville, `Deep Learning
      <https://www.deeplearningbook.org>`_, 2016, section 7.5.
    """

    def noisy(variables, batch, key=None, *, train=False):
        if not train:
            return objective(variables, batch, key, train=train)
        if key is None:
            raise UserError(
                "key=None: expected a key, to draw weight noise in training"
            )
        noise_key, key = jax.random.split(key)
        leaves, tree = jax.tree.flatten(variables["params"])
        keys = jax.random.split(noise_key, len(leaves))
        # Drawn in float32, as bfloat16 has only 128 random numbers.
        perturbed = [
            (wide + std * jax.random.normal(k, x.shape, wide.dtype)).astype(x.dtype)
            for x, wide, k in zip(leaves, at_least_float32(leaves), keys, strict=True)
        ]
        variables = {**variables, "params": jax.tree.unflatten(tree, perturbed)}
        return objective(variables, batch, key, train=train)

    return noisy
