"""DCGAN: convolutional generator and discriminator."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from fdl.errors import UserError
from fdl.models.layers import conv
from fdl.models.layers.conv_transpose import ConvTranspose
from fdl.types import Array

_normal = nn.initializers.normal(0.02)


class DCGANGenerator(nn.Module):
    """DCGAN generator: transposed convolutions that double the resolution.

    Intermediates: ``stage0``, ``stage1``, ..., the outputs of each layer except the
    last; the first has 4×4 pixels.

    Attributes:
      image_size: Height and width of an image in pixels, a power of two of at least 8.
      image_channels: Number of channels of an image.
      latent_size: Dimension of the latent vector.
      width: Channels of the last hidden layer; each layer before has twice as many.
      dtype: Dtype of the computation; inferred from inputs and parameters if None.
      param_dtype: Dtype of the parameters.

    References:
      Radford, Metz and Chintala, `Unsupervised Representation Learning with Deep
      Convolutional Generative Adversarial Networks
      <https://arxiv.org/abs/1511.06434>`_, 2015.
    """

    image_size: int = 64
    image_channels: int = 3
    latent_size: int = 100
    width: int = 64
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, latents: Array, *, train: bool = False) -> Array:
        """Maps latents [B, latent_size] to images in (-1, 1), float [B, H, W, C]."""
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        options: Any = {"use_bias": False, "kernel_init": _normal, **dtypes}
        num_stages = _num_stages(self.image_size)
        x = latents[:, None, None, :]
        for i in range(num_stages):
            features = self.width * 2 ** (num_stages - 1 - i)
            # The first layer maps one pixel to 4×4, all others double the resolution.
            stride, padding = (1, 0) if i == 0 else (2, 1)
            layer = ConvTranspose(
                features, 4, stride, padding, name=f"conv{i}", **options
            )
            x = layer(x)
            x = nn.relu(_norm(train, name=f"bn{i}", **dtypes)(x))
            self.sow("intermediates", f"stage{i}", x)
        x = ConvTranspose(self.image_channels, 4, 2, 1, name="head", **options)(x)
        return jnp.tanh(x)

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Example inputs: one latent vector."""
        return (jax.ShapeDtypeStruct((1, self.latent_size), jnp.float32),)


class DCGANDiscriminator(nn.Module):
    """DCGAN discriminator: strided convolutions that mirror the generator.

    Intermediates: ``stage0``, ``stage1``, ..., the outputs of each layer except the
    last, which the paper uses as features for classification.

    Attributes:
      image_size: Height and width of an image in pixels, a power of two of at least 8.
      image_channels: Number of channels of an image, for `example`.
      width: Channels of the first layer; each layer after it has twice as many.
      dtype: Dtype of the computation; inferred from inputs and parameters if None.
      param_dtype: Dtype of the parameters.

    References:
      Radford, Metz and Chintala, `Unsupervised Representation Learning with Deep
      Convolutional Generative Adversarial Networks
      <https://arxiv.org/abs/1511.06434>`_, 2015.
    """

    image_size: int = 64
    image_channels: int = 3
    width: int = 64
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, images: Array, *, train: bool = False) -> Array:
        """Maps images [B, H, W, C] to logits of being real, float [B]."""
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        options: Any = {"use_bias": False, "kernel_init": _normal, **dtypes}
        size, (height, width) = self.image_size, images.shape[1:3]
        if (height, width) != (size, size):
            raise UserError(
                f"image_size={size}: expected images of {size}×{size} pixels, got "
                f"{height}×{width}"
            )
        x = images
        for i in range(_num_stages(self.image_size)):
            x = conv(
                self.width * 2**i,
                (4, 4),
                strides=2,
                padding=1,
                name=f"conv{i}",
                **options,
            )(x)
            # As in the paper, there is no batch norm right behind the images.
            if i > 0:
                x = _norm(train, name=f"bn{i}", **dtypes)(x)
            x = nn.leaky_relu(x, 0.2)
            self.sow("intermediates", f"stage{i}", x)
        # A kernel as large as the 4×4 features leaves one logit.
        x = conv(1, (4, 4), padding="VALID", name="head", **options)(x)
        return x.squeeze((1, 2, 3))

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Example inputs: one image of `image_size`."""
        shape = (1, self.image_size, self.image_size, self.image_channels)
        return (jax.ShapeDtypeStruct(shape, jnp.float32),)


def dcgan_generator(**options: Any) -> DCGANGenerator:
    """DCGAN generator of PyTorch's examples; 3,576,704 parameters.

    Args:
      **options: Other attributes of `DCGANGenerator`. With ``width=128`` it is the
        paper's, and has 12,658,432 parameters.

    Example:
      >>> from fdl import models
      >>> generator = models.functional(dcgan_generator(width=8))
      >>> variables = jax.eval_shape(generator.init, jax.random.key(0))
      >>> latents = jnp.zeros((2, 100))
      >>> jax.eval_shape(generator.apply, variables, latents)[0].shape
      (2, 64, 64, 3)
    """
    return DCGANGenerator(**options)


def dcgan_discriminator(**options: Any) -> DCGANDiscriminator:
    """DCGAN discriminator of PyTorch's examples; 2,765,568 parameters.

    Args:
      **options: Other attributes of `DCGANDiscriminator`. With ``width=128`` it is the
        paper's, and has 11,036,160 parameters.
    """
    return DCGANDiscriminator(**options)


def _norm(train, **options):
    """Batch norm with scales initialised as N(1, 0.02²)."""

    def scale_init(key, shape, dtype):
        return 1 + _normal(key, shape, dtype)

    # Flax's momentum is the weight of the old average: 0.9 is PyTorch's 0.1.
    return nn.BatchNorm(
        use_running_average=not train,
        momentum=0.9,
        epsilon=1e-5,
        scale_init=scale_init,
        **options,
    )


def _num_stages(image_size):
    """Number of layers between the images and 4×4 features: log2(image_size / 4)."""
    num_stages = image_size.bit_length() - 3
    if image_size != 4 * 2**num_stages or num_stages < 1:
        raise UserError(
            f"image_size={image_size}: expected a power of two of at least 8"
        )
    return num_stages
