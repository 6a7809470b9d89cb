"""U-Net for semantic segmentation."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from fdl.errors import UserError
from fdl.models.layers import conv, max_pool
from fdl.models.layers.conv_transpose import ConvTranspose
from fdl.types import Array

_he_normal = nn.initializers.variance_scaling(2.0, "fan_in", "normal")
# With kernel and stride of 2, one of the four weights per channel of a transposed
# convolution reaches each output pixel: the effective fan-in is a quarter of what
# `fan_in` computes, hence 4 · 2.
_he_normal_up = nn.initializers.variance_scaling(
    8.0, "fan_in", "normal", in_axis=-1, out_axis=-2
)


class Convolutions(nn.Module):
    """Two 3×3 convolutions, each followed by a ReLU.

    Attributes:
      features: Channels of both.
      padding: ``"VALID"`` crops one pixel at each side for each convolution, ``"SAME"``
        pads with zeros.
      dtype: Computation dtype; that of inputs and parameters if None.
      param_dtype: Dtype of the parameters.
    """

    features: int
    padding: str
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps x [B, H, W, C] to [B, H, W, features], or H - 4, W - 4 unpadded."""
        for i in (1, 2):
            x = conv(
                self.features,
                (3, 3),
                padding=self.padding,
                kernel_init=_he_normal,
                dtype=self.dtype,
                param_dtype=self.param_dtype,
                name=f"conv{i}",
            )(x)
            x = nn.relu(x)
        return x


class UNet(nn.Module):
    """U-Net of Ronneberger et al.: contracting and expanding paths with skips.

    Each level of the contracting path halves the resolution and, by default, doubles
    the channels; each level of the expanding path concatenates the features of the same
    resolution. Without padding, as published, the output covers the central part of the
    image, for which the full context is available. Intermediates: ``down0``, ``down1``,
    ... and ``up0``, ``up1``, ..., the outputs of the levels in order of execution.

    Attributes:
      widths: Channels of each level, from fine to coarse.
      num_classes: Classes of a pixel; if None, the features of the finest level are
        returned.
      padding: ``"VALID"`` as published, or ``"SAME"`` for outputs of the input's height
        and width.
      dropout: Dropout rate at the end of the last two levels of the contracting path,
        as in the authors' code.
      remat: Whether to rematerialise each level in the backward pass.
      input_shape: Shape of an image, (H, W, C), for `example` only.
      dtype: Computation dtype; that of inputs and parameters if None.
      param_dtype: Dtype of the parameters.

    References:
      Ronneberger, Fischer and Brox, `U-Net: Convolutional Networks for Biomedical Image
      Segmentation <https://arxiv.org/abs/1505.04597>`_, 2015.
    """

    widths: Sequence[int] = (64, 128, 256, 512, 1024)
    num_classes: int | None = 2
    padding: str = "VALID"
    dropout: float = 0.0
    remat: bool = False
    input_shape: Sequence[int] = (572, 572, 1)
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, images: Array, *, train: bool = False) -> Array:
        """Maps images [B, H, W, C] to logits of each pixel.

        Args:
          images: float [B, H, W, C]. Heights and widths must be even in front of each
            max-pooling: with five levels, 16 N + 12 pixels, or 16 N if padded.
          train: Whether to apply dropout.

        Returns:
          float [B, H - 184, W - 184, num_classes] with five levels, or
          [B, H, W, num_classes] if padded.

        Raises:
          UserError: A height or width in front of a max-pooling would be odd, or the
            output would be empty.
        """
        num_levels = len(self.widths)
        _check_size(images.shape[1], images.shape[2], num_levels, self.padding)
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        convolutions: Callable[..., nn.Module] = functools.partial(
            nn.remat(Convolutions) if self.remat else Convolutions,
            padding=self.padding,
            **dtypes,
        )
        x, skips = images, []
        for i, width in enumerate(self.widths):
            if i > 0:
                x = max_pool(x, 2)
            x = convolutions(width, name=f"contract{i}")(x)
            if i >= num_levels - 2:
                x = nn.Dropout(self.dropout, deterministic=not train)(x)
            self.sow("intermediates", f"down{i}", x)
            skips.append(x)
        skips.pop()  # The coarsest level has no skip connection.
        for i, width in enumerate(reversed(self.widths[:-1])):
            x = ConvTranspose(
                width,
                2,
                stride=2,
                kernel_init=_he_normal_up,
                name=f"upsample{i}",
                **dtypes,
            )(x)
            x = jnp.concatenate([_centre_crop(skips.pop(), *x.shape[1:3]), x], axis=-1)
            x = convolutions(width, name=f"expand{i}")(x)
            self.sow("intermediates", f"up{i}", x)
        if self.num_classes is None:
            return x
        return conv(
            self.num_classes, (1, 1), kernel_init=_he_normal, name="head", **dtypes
        )(x)

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Shape of one image, `input_shape`."""
        return (jax.ShapeDtypeStruct((1, *self.input_shape), jnp.float32),)


def unet(**options: Any) -> UNet:
    """U-Net as published; 31,030,658 parameters.

    Args:
      **options: Other attributes of `UNet`; ``dropout`` is 0.5 by default.

    Example:
      >>> from fdl import models
      >>> model = models.functional(unet(num_classes=3))
      >>> variables = jax.eval_shape(model.init, jax.random.key(0))
      >>> images = jnp.zeros((1, 572, 572, 1))
      >>> jax.eval_shape(model.apply, variables, images)[0].shape
      (1, 388, 388, 3)
    """
    return UNet(**{"dropout": 0.5, **options})


def _check_size(height, width, num_levels, padding):
    unit = 2 ** (num_levels - 1)
    # Unpadded, each level crops 4 of its pixels, which are 2^level pixels of the image:
    # once in each of the levels on the way down, and again in all but the coarsest.
    lost = 4 * (2 * unit - 1) + 4 * (unit - 1) if padding == "VALID" else 0
    # A coarsest level of n pixels needs unit · (n + 8) - 4 in the image; `lost` is -8
    # modulo `unit` in the same terms.
    rest = (lost + 4) % unit if lost else 0
    if min(height, width) <= lost or height % unit != rest or width % unit != rest:
        raise UserError(
            f"images of {height}×{width} pixels: expected height and width of "
            f"{unit} N + {rest}, above {lost}, for {num_levels} levels with "
            f"padding={padding!r}"
        )


def _centre_crop(x, height, width):
    top, left = (x.shape[1] - height) // 2, (x.shape[2] - width) // 2
    return x[:, top : top + height, left : left + width]
