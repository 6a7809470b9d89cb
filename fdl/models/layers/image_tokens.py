"""Images as sequences of tokens: patches, what stands for them, and where they are."""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from fdl.types import Array


def patchify(images: Array, patch_size: int) -> Array:
    """The pixels of each patch, row by row.

    Args:
      images: float [B, H, W, C].
      patch_size: Height and width of a patch, P, in pixels; they divide H and W.

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
        raise ValueError(f"Patches of {patch_size} do not fit images of {h}×{w}.")
    rows, columns = h // patch_size, w // patch_size
    images = images.reshape(b, rows, patch_size, columns, patch_size, c)
    return images.swapaxes(2, 3).reshape(b, rows * columns, patch_size**2 * c)


def unpatchify(patches: Array, patch_size: int, height: int, width: int) -> Array:
    """The images [B, H, W, C] of patches [B, H·W / P², P·P·C]: undoes `patchify`.

    Args:
      patches: float [B, H·W / P², P·P·C].
      patch_size: P.
      height: H.
      width: W.
    """
    b, rows, columns = patches.shape[0], height // patch_size, width // patch_size
    images = patches.reshape(b, rows, columns, patch_size, patch_size, -1)
    return images.swapaxes(2, 3).reshape(b, height, width, -1)


def patch_embedding(features: int, patch_size: int, **options: Any) -> nn.Conv:
    """Maps images [B, H, W, C] to [B, H / P, W / P, features], each patch linearly.

    A `flax.linen.Conv` with the same parameters and values, computed as one matrix
    product: as its windows do not overlap, nothing has to be gathered.

    Args:
      features: Size of a token.
      patch_size: P.
      **options: All others of `flax.linen.Conv`.
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
    del args, options  # Strides are the size of the kernel, and nothing is padded.
    (b, h, w, _), (p, _, _, features) = images.shape, kernel.shape
    flat = kernel.reshape(-1, features)
    tokens = jnp.matmul(patchify(images, p), flat, precision=precision)
    return tokens.reshape(b, h // p, w // p, features)


def sincos_positions(
    height: int, width: int, size: int, *, inclusive: bool = False
) -> Array:
    """Sines and cosines of the column and the row of each token of a grid.

    A quarter of the features each: sin(ωx), cos(ωx), sin(ωy), cos(ωy), with the
    frequencies ω from 1 down to 10⁻⁴ in equal ratios.

    Args:
      height: Rows of the grid.
      width: Columns.
      size: Features, a multiple of four.
      inclusive: Whether 10⁻⁴ itself is the last of the frequencies, as in big_vision,
        or the first that is left out, as in MoCo v3 and MAE.

    Returns:
      float32 [1, height·width, size].

    References:
      Beyer, Zhai and Kolesnikov, `Better plain ViT baselines for ImageNet-1k
      <https://arxiv.org/abs/2205.01580>`_, 2022.
    """
    if size % 4:
        raise ValueError(f"{size} features cannot be split into four equal parts.")
    steps = jnp.arange(size // 4) / (size // 4 - inclusive)
    frequencies = 1e-4**steps
    y, x = jnp.mgrid[:height, :width].reshape(2, -1, 1)
    x, y = x * frequencies[None], y * frequencies[None]
    table = jnp.concatenate([jnp.sin(x), jnp.cos(x), jnp.sin(y), jnp.cos(y)], axis=1)
    return table[None]


def resize_positions(
    table: Array, num_prefix: int, size: tuple[int, int], method: str = "cubic"
) -> Array:
    """Learned positions for images of another size.

    Args:
      table: float [1, P + N, D], of a square grid of N patches.
      num_prefix: Rows for tokens that are no patches, P; they stay as they are.
      size: Rows and columns of the other grid.
      method: That of `jax.image.resize`.

    Returns:
      float [1, P + rows·columns, D].

    Example:
      >>> resize_positions(jnp.ones((1, 1 + 14 * 14, 8)), 1, (24, 24)).shape
      (1, 577, 8)
    """
    prefix, grid = table[:, :num_prefix], table[:, num_prefix:]
    side = math.isqrt(grid.shape[1])
    if side**2 != grid.shape[1]:
        raise ValueError(f"{grid.shape[1]} positions are not those of a square grid.")
    grid = grid.reshape(1, side, side, -1)
    grid = jax.image.resize(grid, (1, *size, grid.shape[-1]), method)
    grid = grid.reshape(1, size[0] * size[1], -1)
    return jnp.concatenate([prefix, grid.astype(table.dtype)], axis=1)
