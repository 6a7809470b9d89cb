"""Pooling."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from fdl.types import Array


def max_pool(
    images: Array, window: int, stride: int | None = None, padding: int = 0
) -> Array:
    """The maximum of each window of [B, H, W, C]; incomplete windows are dropped.

    The same as `flax.linen.max_pool`. Where windows do not overlap, a tie shares the
    gradient, which costs a tenth on the CPU.

    Args:
      images: float [B, H, W, C].
      window: Height and width of a window, in pixels.
      stride: From one window to the next; that of windows that do not overlap.
      padding: Pixels of -inf around the images.

    Raises:
      ValueError: The images are smaller than a window.

    Example:
      >>> max_pool(jnp.arange(16.0).reshape(1, 4, 4, 1), 2).squeeze()
      Array([[ 5.,  7.],
             [13., 15.]], dtype=float32)
    """
    if min(images.shape[1:3]) + 2 * padding < window:
        raise ValueError(_too_small(images, f"no window of {window}×{window}"))
    if padding or (stride or window) != window:
        strides, pads = (stride or window,) * 2, ((padding, padding),) * 2
        return nn.max_pool(images, (window, window), strides, pads)
    b, h, w, c = images.shape
    h, w = h // window, w // window
    images = images[:, : h * window, : w * window]
    return images.reshape(b, h, window, w, window, c).max(axis=(2, 4))


def adaptive_avg_pool(images: Array, size: int) -> Array:
    """The averages of size × size parts of [B, H, W, C], which overlap where they must.

    Part i goes from the pixel ⌊i n / size⌋ to ⌈(i + 1) n / size⌉, as in PyTorch.

    Example:
      >>> adaptive_avg_pool(jnp.arange(9.0).reshape(1, 3, 3, 1), 2).squeeze()
      Array([[2., 3.],
             [5., 6.]], dtype=float32)
    """
    if images.shape[1:3] == (size, size):
        return images

    def averages(pixels):
        parts = np.zeros((size, pixels))
        for i in range(size):
            begin, end = i * pixels // size, -(-(i + 1) * pixels // size)
            parts[i, begin:end] = 1 / (end - begin)
        return jnp.asarray(parts, images.dtype)

    rows, columns = map(averages, images.shape[1:3])
    return jnp.einsum("ih,jw,bhwc->bijc", rows, columns, images)


def average(images: Array) -> Array:
    """The average of all pixels of [B, H, W, C], float [B, C].

    Raises:
      ValueError: There are none: the average would be NaN.
    """
    if 0 in images.shape[1:3]:
        raise ValueError(_too_small(images, "nothing to average"))
    return images.mean(axis=(1, 2))


def _too_small(images, what):
    height, width = images.shape[1:3]
    return (
        f"The images are too small for this network: {height}×{width} pixels are left "
        f"of them, and so {what}."
    )
