"""Noise on the weights that an objective sees."""

import jax

from fdl.types import Objective


def noisy_weights(objective: Objective, std: float) -> Objective:
    """An objective of weights w + ε, ε ~ N(0, σ²), drawn anew for each batch.

    Only in training: evaluations see the weights as they are. For a squared error and
    a small σ, it is a penalty σ² E‖∂ŷ/∂w‖² on outputs that hang on single weights.

    Args:
      objective: What to minimise.
      std: σ.

    References:
      Goodfellow, Bengio and Courville, `Deep Learning
      <https://www.deeplearningbook.org>`_, 2016, section 7.5.
    """

    def noisy(variables, batch, key=None, *, train=False):
        if not train:
            return objective(variables, batch, key, train=train)
        if key is None:
            raise ValueError("noisy_weights draws noise in training: it needs a key")
        noise_key, key = jax.random.split(key)
        leaves, tree = jax.tree.flatten(variables["params"])
        keys = jax.random.split(noise_key, len(leaves))
        moved = [
            x + std * jax.random.normal(k, x.shape, x.dtype)
            for x, k in zip(leaves, keys, strict=True)
        ]
        variables = {**variables, "params": jax.tree.unflatten(tree, moved)}
        return objective(variables, batch, key, train=train)

    return noisy
