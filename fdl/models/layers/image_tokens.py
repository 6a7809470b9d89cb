"""Images as sequences of tokens: patches, patch embeddings, position embeddings."""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from fdl.errors import UserError
from fdl.types import Array


def patchify(images: Array, patch_size: int) -> Array:
    """Splits images into flattened patches, in row-major order.

    Args:
      images: float [B, H, W, C].
      patch_size: Height and width of a patch in pixels, P, a divisor of H and W.

    Returns:
      float [B, H·W / P², P·P·C].

    Example:
      >>> patchify(jnp.arange(16.0).reshape(1, 4, 4, 1), 2)[0]
      Array([[ 0.,  1.,  4.,  5.],
             [ 2.,  3.,  6.,  7.],
             [ 8.,  9., 12., 13.],
             [10., 11., 14., 15.]], dtype=float32)
    """
    b, h, w, c = images.shape
    if h % patch_size or w % patch_size:
        raise UserError(
            f"patch_size={patch_size}: expected a divisor of the image size {h}×{w}"
        )
    rows, columns = h // patch_size, w // patch_size
    images = images.reshape(b, rows, patch_size, columns, patch_size, c)
    return images.swapaxes(2, 3).reshape(b, rows * columns, patch_size**2 * c)


def unpatchify(patches: Array, patch_size: int, height: int, width: int) -> Array:
    """Inverse of `patchify`: images of flattened patches, float [B, H, W, C].

    Args:
      patches: float [B, H·W / P², P·P·C].
      patch_size: Height and width of a patch in pixels, P.
      height: Height of the images in pixels, H.
      width: Width of the images in pixels, W.
    """
    b, rows, columns = patches.shape[0], height // patch_size, width // patch_size
    images = patches.reshape(b, rows, columns, patch_size, patch_size, -1)
    return images.swapaxes(2, 3).reshape(b, height, width, -1)


def patch_embedding(features: int, patch_size: int, **options: Any) -> nn.Conv:
    """Linear embedding of patches, as a convolution whose stride is its kernel size.

    It maps images [B, H, W, C] to tokens [B, H / P, W / P, features]. Parameters and
    outputs are those of `flax.linen.Conv`; as windows do not overlap, it is computed as
    one matrix product, without copies of pixels.

    Args:
      features: Number of features of a token.
      patch_size: Height and width of a patch in pixels, P.
      **options: Further attributes of `flax.linen.Conv`.
    """
    return nn.Conv(
        features,
        (patch_size, patch_size),
        strides=patch_size,
        padding="VALID",
        conv_general_dilated=_of_patches,
        **options,
    )


def _of_patches(images, kernel, *args, precision=None, **options):
    # Strides and padding are fixed by `patch_embedding`, and dimension numbers by flax.
    del args, options
    (b, h, w, _), (p, _, _, features) = images.shape, kernel.shape
    flat = kernel.reshape(-1, features)
    tokens = jnp.matmul(patchify(images, p), flat, precision=precision)
    return tokens.reshape(b, h // p, w // p, features)


def sincos_positions(
    height: int, width: int, size: int, *, inclusive: bool = False
) -> Array:
    """Sinusoidal 2-D position embedding.

    The features are sin(ωx), cos(ωx), sin(ωy) and cos(ωy), a quarter each, for column x
    and row y. The frequencies ω fall geometrically from 1 to 10⁻⁴.

    Args:
      height: Rows of the grid.
      width: Columns of the grid.
      size: Number of features, a multiple of four.
      inclusive: Whether 10⁻⁴ is the last frequency, as in big_vision, or the first
        beyond the last, as in MoCo v3 and MAE.

    Returns:
      float32 [1, height·width, size].

    References:
      Beyer, Zhai and Kolesnikov, `Better plain ViT baselines for ImageNet-1k
      <https://arxiv.org/abs/2205.01580>`_, 2022.
    """
    if size % 4:
        raise UserError(f"size={size}: expected a multiple of 4")
    steps = jnp.arange(size // 4) / (size // 4 - inclusive)
    frequencies = 1e-4**steps
    y, x = jnp.mgrid[:height, :width].reshape(2, -1, 1)
    x, y = x * frequencies[None], y * frequencies[None]
    table = jnp.concatenate([jnp.sin(x), jnp.cos(x), jnp.sin(y), jnp.cos(y)], axis=1)
    return table[None]


def resize_positions(
    table: Array, num_prefix: int, size: tuple[int, int], method: str = "cubic"
) -> Array:
    """Interpolates learned position embeddings for another image size.

    Args:
      table: Position embeddings, float [1, P + N, D], of a square grid of N patches.
      num_prefix: Number of leading tokens that are no patches, such as the class token,
        P; their embeddings are unchanged.
      size: Rows and columns of the new grid.
      method: Method of `jax.image.resize`.

    Returns:
      float [1, P + rows·columns, D].

    Example:
      >>> resize_positions(jnp.ones((1, 1 + 14 * 14, 8)), 1, (24, 24)).shape
      (1, 577, 8)
    """
    prefix, grid = table[:, :num_prefix], table[:, num_prefix:]
    side = math.isqrt(grid.shape[1])
    if side**2 != grid.shape[1]:
        raise UserError(
            f"table has {grid.shape[1]} patch positions: expected a square number"
        )
    grid = grid.reshape(1, side, side, -1)
    grid = jax.image.resize(grid, (1, *size, grid.shape[-1]), method)
    grid = grid.reshape(1, size[0] * size[1], -1)
    return jnp.concatenate([prefix, grid.astype(table.dtype)], axis=1)
