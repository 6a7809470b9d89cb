"""Transposed convolution whose gradients are fast on the CPU."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jax.typing import DTypeLike

from fdl.types import Array


class ConvTranspose(nn.Module):
    """Transposed convolution: the sum of a scaled kernel for each input pixel.

    Equals PyTorch's ``ConvTranspose2d``, with its meaning of padding, and
    `flax.linen.ConvTranspose` with ``transpose_kernel=True``. On the CPU it is computed
    as a matrix product, as the gradients of XLA's own are up to 70 times slower there.

    Attributes:
      features: Number of output channels.
      kernel_size: Height and width of the kernel.
      stride: Step between the patches of neighbouring input pixels, in output pixels.
      padding: Pixels that are cropped from each border of the output, whose height and
        width are ``stride * (size - 1) + kernel_size - 2 * padding``.
      use_bias: Whether to add a bias.
      kernel_init: Initialiser of the kernel, [kernel_size, kernel_size, features, C].
      bias_init: Initialiser of the bias.
      dtype: Dtype of the computation; that of inputs and parameters where None.
      param_dtype: Dtype of the parameters.

    Example:
      >>> layer = ConvTranspose(3, kernel_size=4, stride=2, padding=1)
      >>> images = jnp.ones((1, 8, 8, 5))
      >>> outputs, variables = layer.init_with_output(jax.random.key(0), images)
      >>> outputs.shape, variables["params"]["kernel"].shape
      ((1, 16, 16, 3), (4, 4, 3, 5))
    """

    features: int
    kernel_size: int
    stride: int = 1
    padding: int = 0
    use_bias: bool = True
    kernel_init: nn.initializers.Initializer = nn.initializers.variance_scaling(
        1.0, "fan_in", "truncated_normal", in_axis=-1, out_axis=-2
    )
    bias_init: nn.initializers.Initializer = nn.initializers.zeros
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, images: Array) -> Array:
        """Maps images [B, H, W, C] to [B, H', W', features]."""
        shape = (self.kernel_size, self.kernel_size, self.features, images.shape[-1])
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        bias: Any = None
        if self.use_bias:
            bias = self.param(
                "bias", self.bias_init, (self.features,), self.param_dtype
            )
        images, kernel, bias = promote_dtype(images, kernel, bias, dtype=self.dtype)
        outputs = conv_transpose(images, kernel, self.stride, self.padding)
        return outputs if bias is None else outputs + bias.reshape(1, 1, 1, -1)


def conv_transpose(
    images: Array, kernel: Array, stride: int = 1, padding: int = 0
) -> Array:
    """Transposed convolution of images.

    Args:
      images: float [B, H, W, C].
      kernel: float [K, K, D, C].
      stride: Step between the patches of neighbouring input pixels, in output pixels.
      padding: Pixels that are cropped from each border of the output.

    Returns:
      float [B, S (H - 1) + K - 2P, S (W - 1) + K - 2P, D] for a stride S and padding P.
    """

    def xla(images, kernel):
        # JAX pads the dilated input, whereas PyTorch's padding crops the output.
        border = (kernel.shape[0] - 1 - padding,) * 2
        return jax.lax.conv_transpose(
            images, kernel, (stride,) * 2, (border,) * 2, transpose_kernel=True
        )

    def matrix_product(images, kernel):
        return _sum_of_patches(images, kernel, stride, padding)

    return jax.lax.platform_dependent(images, kernel, cpu=matrix_product, default=xla)


def _sum_of_patches(images, kernel, stride, padding):
    batch, height, width, channels = images.shape
    size, _, features, _ = kernel.shape
    # Patches overlap, and adding each at its offset would be a slow scatter. Instead,
    # each patch is split into n × n tiles of stride × stride pixels. The tiles (i, j)
    # of all patches do not overlap and form one image, shifted by i and j tiles: the
    # output is the sum of n² padded images.
    n = -(-size // stride)
    kernel = jnp.pad(kernel, [(0, n * stride - size)] * 2 + [(0, 0)] * 2)
    patches = images.reshape(-1, channels) @ kernel.reshape(-1, channels).T
    patches = patches.reshape(
        batch, height, width, n, stride, n, stride, features
    ).transpose(3, 5, 0, 1, 4, 2, 6, 7)
    outputs: Any = sum(
        jnp.pad(
            patches[i, j],
            [(0, 0), (i, n - 1 - i), (0, 0), (j, n - 1 - j), (0, 0), (0, 0)],
        )
        for i in range(n)
        for j in range(n)
    )
    tall, wide = (height + n - 1) * stride, (width + n - 1) * stride
    outputs = outputs.reshape(batch, tall, wide, features)
    tall, wide = ((side - 1) * stride + size - padding for side in (height, width))
    return outputs[:, padding:tall, padding:wide]
