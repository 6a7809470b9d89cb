"""Max pooling and average pooling of images."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from fdl.errors import UserError
from fdl.types import Array


def max_pool(
    images: Array, window: int, stride: int | None = None, padding: int = 0
) -> Array:
    """Max pooling of images; incomplete windows are dropped.

    Outputs equal those of `flax.linen.max_pool`. For windows that do not overlap,
    the gradient takes a tenth of the time on the CPU, and is shared by ties.

    Args:
      images: float [B, H, W, C].
      window: Height and width of a window in pixels.
      stride: Step between windows in pixels; `window` where None.
      padding: Pixels of -inf that are added to each border.

    Raises:
      UserError: The padded images are smaller than a window.

    Example:
      >>> max_pool(jnp.arange(16.0).reshape(1, 4, 4, 1), 2).squeeze()
      Array([[ 5.,  7.],
             [13., 15.]], dtype=float32)
    """
    if min(images.shape[1:3]) + 2 * padding < window:
        least = window - 2 * padding
        raise too_small(images, f"a pooling layer, expected at least {least}×{least}")
    if padding or (stride or window) != window:
        strides, pads = (stride or window,) * 2, ((padding, padding),) * 2
        return nn.max_pool(images, (window, window), strides, pads)
    # The gradient of a window reduction is slow on the CPU; that of a maximum over axes
    # is not.
    b, h, w, c = images.shape
    h, w = h // window, w // window
    images = images[:, : h * window, : w * window]
    return images.reshape(b, h, window, w, window, c).max(axis=(2, 4))


def adaptive_avg_pool(images: Array, size: int) -> Array:
    """Adaptive average pooling to size × size pixels.

    Window i spans the pixels from ⌊i n / size⌋ to ⌈(i + 1) n / size⌉ of n, as in
    PyTorch; windows overlap where `size` does not divide n.

    Args:
      images: float [B, H, W, C].
      size: Height and width of the output in pixels.

    Returns:
      float [B, size, size, C].

    Example:
      >>> adaptive_avg_pool(jnp.arange(9.0).reshape(1, 3, 3, 1), 2).squeeze()
      Array([[2., 3.],
             [5., 6.]], dtype=float32)
    """
    if images.shape[1:3] == (size, size):
        return images

    # Windows differ in size, which no window reduction allows; averages along each axis
    # are linear, and so a product with a small matrix.
    def averaging_matrix(pixels):
        matrix = np.zeros((size, pixels))
        for i in range(size):
            begin, end = i * pixels // size, -(-(i + 1) * pixels // size)
            matrix[i, begin:end] = 1 / (end - begin)
        return jnp.asarray(matrix, images.dtype)

    rows, columns = map(averaging_matrix, images.shape[1:3])
    return jnp.einsum("ih,jw,bhwc->bijc", rows, columns, images)


def average(images: Array) -> Array:
    """Global average pooling, float [B, C].

    Args:
      images: float [B, H, W, C].

    Raises:
      UserError: There are no pixels, whose average would be NaN.
    """
    if 0 in images.shape[1:3]:
        raise too_small(images, "a pooling layer, expected at least 1×1")
    return images.mean(axis=(1, 2))


def too_small(images: Array, layer: str) -> UserError:
    """Error of feature maps [B, H, W, C] that have too few pixels for a layer."""
    height, width = images.shape[1:3]
    return UserError(
        f"images too small for this network: {height}×{width} pixels remain of them at "
        f"{layer}"
    )
