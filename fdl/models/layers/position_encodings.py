"""Where tokens are, as numbers that attention can tell apart."""

import jax.numpy as jnp

from fdl.types import Array


def sinusoids(positions: Array, size: int, base: float = 10_000.0) -> Array:
    """Sines and cosines of the position, in turn, of ever longer waves.

    sin(position / base^(2i / size)) is feature 2i, and the cosine feature 2i + 1.

    Args:
      positions: int [B, T].
      size: How many features, even.
      base: How much longer the longest wave is than the shortest, nearly.

    Returns:
      float32 [B, T, size].

    Example:
      >>> sinusoids(jnp.array([[3]]), 4).squeeze().tolist()
      [0.141, -0.990, 0.030, 1.000]

    References:
      Vaswani et al., `Attention Is All You Need <https://arxiv.org/abs/1706.03762>`_,
      2017, section 3.5.
    """
    angles = _angles(positions, size, base, jnp.float32)
    waves = jnp.stack([jnp.sin(angles), jnp.cos(angles)], axis=-1)
    return waves.reshape(*positions.shape, size)


def rotate(x: Array, positions: Array, base: float = 10_000.0) -> Array:
    """Turns pairs of features by angles in proportion to the position.

    Feature i of the first half and its peer of the second turn by the angle
    position / base^(2i / H). So the product of a query and a key depends on how far
    apart they are, and not on where.

    Args:
      x: Queries or keys, float [B, T, N, H].
      positions: int [B or 1, T].
      base: How much longer the longest wave is than the shortest, nearly.

    References:
      Su et al., `RoFormer: Enhanced Transformer with Rotary Position Embedding
      <https://arxiv.org/abs/2104.09864>`_, 2021.
    """
    wide = jnp.promote_types(x.dtype, jnp.float32)
    angles = _angles(positions, x.shape[-1], base, wide)[:, :, None]
    cos, sin = jnp.cos(angles), jnp.sin(angles)
    a, b = jnp.split(x.astype(wide), 2, axis=-1)
    turned = jnp.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)
    return turned.astype(x.dtype)


def _angles(positions, size, base, dtype):
    frequencies = base ** (-jnp.arange(0, size, 2, dtype=dtype) / size)
    return positions[..., None].astype(dtype) * frequencies[None, None]
