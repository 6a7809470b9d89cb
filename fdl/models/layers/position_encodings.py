"""Sinusoidal and rotary position embeddings."""

from typing import NamedTuple

import jax.numpy as jnp

from fdl.types import Array


class RotaryScaling(NamedTuple):
    """Scaling of rotary frequencies for longer texts, as in Llama 3.1.

    Wavelengths above ``original_max_length / low_frequency_factor`` are `factor` times
    as long; those below ``original_max_length / high_frequency_factor`` stay; between
    them the frequencies are interpolated.

    Attributes:
      factor: Factor of the longest wavelengths.
      low_frequency_factor: Turns in `original_max_length` of the shortest wavelength
        that is scaled in full.
      high_frequency_factor: Turns of the longest wavelength that stays.
      original_max_length: Number of tokens that the model was first trained with.

    References:
      Grattafiori et al., `The Llama 3 Herd of Models
      <https://arxiv.org/abs/2407.21783>`_, 2024, and its published code.
    """

    factor: float
    low_frequency_factor: float
    high_frequency_factor: float
    original_max_length: int


def sinusoidal_embedding(positions: Array, size: int, base: float = 10_000.0) -> Array:
    """Sinusoidal position embedding of Vaswani et al.

    Feature 2i is sin(position / base^(2i / size)), and feature 2i + 1 its cosine.

    Args:
      positions: Positions of tokens, int [B, T].
      size: Number of features, even.
      base: Base of the wavelengths, which grow geometrically from 2π to nearly
        2π · base.

    Returns:
      float32 [B, T, size].

    Example:
      >>> sinusoidal_embedding(jnp.array([[3]]), 4).squeeze().tolist()
      [0.141, -0.990, 0.030, 1.000]

    References:
      Vaswani et al., `Attention Is All You Need <https://arxiv.org/abs/1706.03762>`_,
      2017, section 3.5.
    """
    angles = _angles(positions, _frequencies(size, base, jnp.float32))
    waves = jnp.stack([jnp.sin(angles), jnp.cos(angles)], axis=-1)
    return waves.reshape(*positions.shape, size)


def rotary_embedding(
    x: Array,
    positions: Array,
    base: float = 10_000.0,
    scaling: RotaryScaling | None = None,
) -> Array:
    """Rotary position embedding (RoPE).

    Features i and i + H / 2 are rotated by the angle position / base^(2i / H). The
    product of a query and a key thus depends on the difference of their positions only.

    Args:
      x: Queries or keys, float [B, T, N, H], with H even.
      positions: Positions of tokens, int [B or 1, T].
      base: Base of the wavelengths, which grow geometrically from 2π to nearly
        2π · base.
      scaling: Scaling of the frequencies; none where None.

    Returns:
      Rotated queries or keys, float [B, T, N, H].

    References:
      Su et al., `RoFormer: Enhanced Transformer with Rotary Position Embedding
      <https://arxiv.org/abs/2104.09864>`_, 2021.
    """
    # Half precision cannot tell large angles apart: bfloat16 has no odd number above
    # 256.
    wide = jnp.promote_types(x.dtype, jnp.float32)
    frequencies = _frequencies(x.shape[-1], base, wide)
    if scaling is not None:
        frequencies = _scaled(frequencies, scaling)
    angles = _angles(positions, frequencies)[:, :, None]
    cos, sin = jnp.cos(angles), jnp.sin(angles)
    a, b = jnp.split(x.astype(wide), 2, axis=-1)
    rotated = jnp.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)
    return rotated.astype(x.dtype)


def _frequencies(size, base, dtype):
    return base ** (-jnp.arange(0, size, 2, dtype=dtype) / size)


def _angles(positions, frequencies):
    return positions[..., None].astype(frequencies.dtype) * frequencies[None, None]


def _scaled(frequencies, scaling):
    """Frequencies of Llama 3.1; both ends are those of a clipped interpolation."""
    turns = scaling.original_max_length * frequencies / (2 * jnp.pi)
    low, high = scaling.low_frequency_factor, scaling.high_frequency_factor
    kept = jnp.clip((turns - low) / (high - low), min=0, max=1)
    return frequencies * (kept + (1 - kept) / scaling.factor)
