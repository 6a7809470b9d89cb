"""A generator of images and its discriminator, both of strided convolutions."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from fdl.models.layers import conv
from fdl.models.layers.conv_transpose import ConvTranspose
from fdl.types import Array

_normal = nn.initializers.normal(0.02)


class DCGANGenerator(nn.Module):
    """Paints images of random numbers: each layer doubles the resolution.

    Intermediates: ``stage0``, ``stage1``, ..., what each layer but the last gives out;
    that of 4×4 is the first.

    Attributes:
      image_size: Height and width of an image: a power of two, 8 at least.
      image_channels: Its channels.
      latent_size: Random numbers that an image is made of.
      width: Channels of the last layer but one; each one before has twice as many.
      dtype: What is computed in; that of inputs and parameters where None.
      param_dtype: What parameters are stored in.

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
        """Maps latents [B, latent_size] to images of (-1, 1), float [B, H, W, C]."""
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        options: Any = {"use_bias": False, "kernel_init": _normal, **dtypes}
        num_stages = _num_stages(self.image_size)
        x = latents[:, None, None, :]
        for i in range(num_stages):
            features = self.width * 2 ** (num_stages - 1 - i)
            # The first has one pixel to start from, and paints one patch.
            stride, padding = (1, 0) if i == 0 else (2, 1)
            x = ConvTranspose(features, 4, stride, padding, name=f"conv{i}", **options)(
                x
            )
            x = nn.relu(_norm(train, name=f"bn{i}", **dtypes)(x))
            self.sow("intermediates", f"stage{i}", x)
        x = ConvTranspose(self.image_channels, 4, 2, 1, name="head", **options)(x)
        return jnp.tanh(x)

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """The random numbers of one image."""
        return (jax.ShapeDtypeStruct((1, self.latent_size), jnp.float32),)


class DCGANDiscriminator(nn.Module):
    """Tells images of the data from those of a generator, whose mirror it is.

    Intermediates: ``stage0``, ``stage1``, ..., what each layer but the last gives out,
    which are features for other tasks.

    Attributes:
      image_size: Height and width of an image: a power of two, 8 at least.
      image_channels: Its channels.
      width: Channels of the first layer; each next one has twice as many.
      dtype: What is computed in; that of inputs and parameters where None.
      param_dtype: What parameters are stored in.

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
        """Maps images [B, H, W, C] to logits of being of the data, float [B]."""
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        options: Any = {"use_bias": False, "kernel_init": _normal, **dtypes}
        size, (height, width) = self.image_size, images.shape[1:3]
        if (height, width) != (size, size):
            raise ValueError(
                f"image_size is {size}, but images have {height}×{width} pixels."
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
            if i > 0:
                x = _norm(train, name=f"bn{i}", **dtypes)(x)
            x = nn.leaky_relu(x, 0.2)
            self.sow("intermediates", f"stage{i}", x)
        x = conv(1, (4, 4), padding="VALID", name="head", **options)(x)
        return x.squeeze((1, 2, 3))

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """One image of `image_size`."""
        shape = (1, self.image_size, self.image_size, self.image_channels)
        return (jax.ShapeDtypeStruct(shape, jnp.float32),)


def dcgan_generator(**options: Any) -> DCGANGenerator:
    """DCGAN generator of PyTorch's examples; 3,576,704 parameters.

    Args:
      **options: All others of `DCGANGenerator`. With ``width=128`` it is the paper's,
        and has 12,658,432 parameters.

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
      **options: All others of `DCGANDiscriminator`. With ``width=128`` it is the
        paper's, and has 11,036,160 parameters.
    """
    return DCGANDiscriminator(**options)


def _norm(train, **options):
    def scale_init(key, shape, dtype):
        return 1 + _normal(key, shape, dtype)

    return nn.BatchNorm(
        use_running_average=not train,
        momentum=0.9,
        epsilon=1e-5,
        scale_init=scale_init,
        **options,
    )


def _num_stages(image_size):
    num_stages = image_size.bit_length() - 3
    if image_size != 4 * 2**num_stages or num_stages < 1:
        raise ValueError(f"image_size is {image_size}, but must be 8, 16, 32, ...")
    return num_stages
