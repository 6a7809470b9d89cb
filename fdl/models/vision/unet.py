"""The U-Net, which says of each pixel what it belongs to."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from fdl.models.layers import conv, max_pool
from fdl.models.layers.conv_transpose import ConvTranspose
from fdl.types import Array

_he_normal = nn.initializers.variance_scaling(2.0, "fan_in", "normal")
# Of the four weights that a pixel has for a pixel above it, one reaches each below.
_he_normal_up = nn.initializers.variance_scaling(
    8.0, "fan_in", "normal", in_axis=-1, out_axis=-2
)


class Convolutions(nn.Module):
    """Two 3×3 convolutions, each followed by a ReLU.

    Attributes:
      features: Channels of both.
      padding: ``"VALID"`` takes a pixel off each side, ``"SAME"`` pads with zeros.
      dtype: What is computed in; that of inputs and parameters where None.
      param_dtype: What parameters are stored in.
    """

    features: int
    padding: str
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps x [B, H, W, C] to [B, H, W, features], without padding 4 pixels less."""
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
    """Looks at an image ever more coarsely, and returns to where each thing was.

    On the way down, resolution is halved and channels are doubled; on the way up, each
    level sees what its level saw on the way down. Without padding, as published, the
    output is that part of the image for which all of the context is known.
    Intermediates: ``down0``, ``down1``, ... and ``up0``, ``up1``, ..., the outputs of
    the levels in the order in which they run.

    Attributes:
      widths: Channels of each level.
      num_classes: Classes of a pixel; where None, the features of the finest level come
        out.
      padding: ``"VALID"`` as published, or ``"SAME"`` for an output of the input's
        height and width.
      dropout: Fraction of the features dropped at the end of the contracting path: by
        the last two levels, as in the code of the authors.
      remat: Whether what a level computes is computed again in the backward pass.
      input_shape: Of an image, for its channels; other sizes are taken too.
      dtype: What is computed in; that of inputs and parameters where None.
      param_dtype: What parameters are stored in.

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
        """Maps images [B, H, W, C] to logits of their pixels.

        Args:
          images: float [B, H, W, C]. Each max-pooling must meet even heights and
            widths: with five levels, those of 16 N + 12 pixels, or 16 N if padded.
          train: Whether features are dropped.

        Returns:
          float [B, H - 184, W - 184, num_classes] with five levels, or
          [B, H, W, num_classes] if padded.

        Raises:
          ValueError: A max-pooling would meet an odd height or width, or nothing would
            be left.
        """
        num_levels = len(self.widths)
        _check_size(images.shape[1], images.shape[2], num_levels, self.padding)
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        convolutions: Callable[..., nn.Module] = functools.partial(
            nn.remat(Convolutions) if self.remat else Convolutions,
            padding=self.padding,
            **dtypes,
        )
        x, seen = images, []
        for i, width in enumerate(self.widths):
            if i > 0:
                x = max_pool(x, 2)
            x = convolutions(width, name=f"contract{i}")(x)
            if i >= num_levels - 2:
                x = nn.Dropout(self.dropout, deterministic=not train)(x)
            self.sow("intermediates", f"down{i}", x)
            seen.append(x)
        seen.pop()
        for i, width in enumerate(reversed(self.widths[:-1])):
            x = ConvTranspose(
                width,
                2,
                stride=2,
                kernel_init=_he_normal_up,
                name=f"upsample{i}",
                **dtypes,
            )(x)
            x = jnp.concatenate([_centre(seen.pop(), *x.shape[1:3]), x], axis=-1)
            x = convolutions(width, name=f"expand{i}")(x)
            self.sow("intermediates", f"up{i}", x)
        if self.num_classes is None:
            return x
        return conv(
            self.num_classes, (1, 1), kernel_init=_he_normal, name="head", **dtypes
        )(x)

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """One image of `input_shape`."""
        return (jax.ShapeDtypeStruct((1, *self.input_shape), jnp.float32),)


def unet(**options: Any) -> UNet:
    """U-Net; 31,030,658 parameters.

    Args:
      **options: All others of `UNet`. Half of the features are dropped unless they say
        otherwise.

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
    # What convolutions without padding take from the image, down and up again.
    lost = 4 * (2 * unit - 1) + 4 * (unit - 1) if padding == "VALID" else 0
    rest = (lost + 4) % unit if lost else 0
    if min(height, width) <= lost or height % unit != rest or width % unit != rest:
        raise ValueError(
            f"Images have {height}×{width} pixels, but {num_levels} levels with "
            f"padding {padding!r} need {unit} N + {rest}, and more than {lost}."
        )


def _centre(x, height, width):
    top, left = (x.shape[1] - height) // 2, (x.shape[2] - width) // 2
    return x[:, top : top + height, left : left + width]
