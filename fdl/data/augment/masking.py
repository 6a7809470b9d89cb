"""Masking noise."""

import jax
import jax.numpy as jnp

from fdl.data.augment.composition import Augment, check_probability, per_example


def masking_noise(probability: float) -> Augment:
    """Masking noise: sets elements to zero, for examples [B, ...] of any shape.

    The elements of an example are drawn independently, and the others stay as they are:
    they are not scaled up, as dropout would.

    Args:
      probability: Probability of zero, for each element.

    Raises:
      UserError: The probability is not in [0, 1].

    References:
      Vincent et al., `Extracting and Composing Robust Features with Denoising
      Autoencoders <https://doi.org/10.1145/1390156.1390294>`_, 2008.

    Example:
      >>> masking_noise(1.0)(jax.random.key(0), jnp.ones((1, 3)))
      Array([[0., 0., 0.]], dtype=float32)
    """
    check_probability(probability)

    def masked(key, x):
        return jnp.where(jax.random.bernoulli(key, probability, x.shape), 0, x)

    return per_example(masked)
