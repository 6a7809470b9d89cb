"""VQ-VAE: autoencoders whose code is a grid of indices into a codebook."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from fdl.errors import UserError
from fdl.models.layers import conv
from fdl.models.layers.conv_transpose import ConvTranspose
from fdl.models.layers.vector_quantizer import VectorQuantizer
from fdl.types import Array


class VQVAEOutput(NamedTuple):
    """Reconstruction and code of a VQ-VAE.

    Attributes:
      reconstruction: Reconstruction, float [B, H, W, C].
      encoding: Outputs of the encoder, before quantisation, float [B, h, w, D].
      nearest: Their nearest vectors of the codebook, float [B, h, w, D].
      codes: Indices of these, int32 [B, h, w].
    """

    reconstruction: Array
    encoding: Array
    nearest: Array
    codes: Array


class ResidualBlock(nn.Module):
    """Residual block of the paper: a 3×3 and a 1×1 convolution, each after a ReLU.

    Attributes:
      features: Number of channels between the two.
      dtype: Dtype of the computation; inferred from inputs and parameters if None.
      param_dtype: Dtype of the parameters.
    """

    features: int
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps features [B, H, W, C] to float [B, H, W, C]."""
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        y = conv(self.features, (3, 3), name="conv_0", **dtypes)(nn.relu(x))
        y = conv(x.shape[-1], (1, 1), name="conv_1", **dtypes)(nn.relu(y))
        return x + y


class VQVAE(nn.Module):
    """Vector-quantised variational autoencoder: its latents are discrete.

    A convolutional encoder maps an image to a grid of vectors, each of which is
    replaced by the nearest one of a codebook, and a decoder maps these to the
    reconstruction. The gradient of the decoder's inputs is given to the encoder as it
    is. The codebook is learnt by moving averages, see `VectorQuantizer`, whose
    collection is ``quantizer``, or by the loss. The methods `encode` and `decode` map
    images to codes and back; a prior over the codes, such as a `PixelCNN`, makes of it
    a model to sample from. Intermediates: ``encoding``.

    Attributes:
      features: Numbers of channels of the 4×4 convolutions, which have stride 2; the
        decoder mirrors them.
      num_codes: Number of codes.
      code_size: Dimension of a code.
      num_residual_blocks: Number of residual blocks at the lowest resolution, of the
        encoder and of the decoder.
      decay: Decay of the moving averages of the codebook; None for a codebook that is
        a parameter, trained by the loss.
      min_count: Moving count below which a code is dead, and begins again.
      activation: Activation after each strided convolution.
      input_shape: Height, width and number of channels of an image.
      dtype: Dtype of the computation; inferred from inputs and parameters if None.
      param_dtype: Dtype of the parameters.

    References:
      van den Oord, Vinyals and Kavukcuoglu, `Neural Discrete Representation Learning
      <https://arxiv.org/abs/1711.00937>`_, 2017.

    Example:
      >>> module = vqvae()
      >>> images = jnp.zeros((2, 28, 28, 1))
      >>> variables = jax.jit(module.init)(jax.random.key(0), images)
      >>> apply = jax.jit(module.apply, static_argnames="method")
      >>> codes = apply(variables, images, method="encode")
      >>> codes.shape, apply(variables, codes, method="decode").shape
      ((2, 7, 7), (2, 28, 28, 1))
    """

    features: Sequence[int]
    num_codes: int
    code_size: int
    num_residual_blocks: int = 1
    decay: float | None = 0.99
    min_count: float = 0.0
    activation: Callable[[Array], Array] = nn.relu
    input_shape: Sequence[int] = (28, 28, 1)
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    def setup(self) -> None:
        """Creates the encoder, the quantiser and the decoder."""
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        halved: Any = {"strides": 2, "padding": 1, **dtypes}
        # Kernels of 4 with padding 1 halve even sizes exactly.
        self.down = [conv(size, (4, 4), **halved) for size in self.features]
        self.encoder_blocks = self._blocks()
        self.to_codes = nn.Dense(self.code_size, **dtypes)
        self.quantizer = VectorQuantizer(
            self.num_codes,
            self.code_size,
            self.decay,
            self.min_count,
            self.param_dtype,
        )
        self.from_codes = nn.Dense(self.features[-1], **dtypes)
        self.decoder_blocks = self._blocks()
        sizes = (*reversed(self.features[:-1]), self.input_shape[-1])
        self.up = [ConvTranspose(size, 4, 2, 1, **dtypes) for size in sizes]

    def __call__(
        self, inputs: Array, *, mask: Array | None = None, train: bool = False
    ) -> VQVAEOutput:
        """Maps images to their reconstructions and codes.

        Args:
          inputs: Images, float [B, H, W, C].
          mask: Weights of the images in the moving averages of the codebook, float [B];
            one if None.
          train: Whether to run in training mode, in which the averages change.

        Raises:
          UserError: Height or width are not divisible by 2^(number of convolutions).
        """
        encoding = self._encoding(inputs)
        self.sow("intermediates", "encoding", encoding)
        quantized = self.quantizer(encoding, mask=mask, train=train)
        reconstruction = self._decoded(quantized.outputs)
        return VQVAEOutput(reconstruction, encoding, quantized.nearest, quantized.codes)

    def encode(self, inputs: Array) -> Array:
        """Maps images [B, H, W, C] to codes, int32 [B, h, w]."""
        return self.quantizer(self._encoding(inputs)).codes

    def decode(self, codes: Array) -> Array:
        """Maps codes, int [B, h, w], to images, float [B, H, W, C]."""
        return self._decoded(self.quantizer.vectors(codes))

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Example inputs: one image."""
        return (jax.ShapeDtypeStruct((1, *self.input_shape), jnp.float32),)

    def _blocks(self) -> list[ResidualBlock]:
        size = max(1, self.features[-1] // 2)
        count = range(self.num_residual_blocks)
        return [ResidualBlock(size, self.dtype, self.param_dtype) for _ in count]

    def _encoding(self, x: Array) -> Array:
        """Vectors to quantise, float [B, h, w, code_size]."""
        factor = 2 ** len(self.features)
        if x.shape[1] % factor or x.shape[2] % factor:
            raise UserError(
                f"inputs.shape={list(x.shape)}: expected height and width divisible "
                f"by {factor} for {len(self.features)} convolutions with stride 2"
            )
        for layer in self.down:
            x = self.activation(layer(x))
        for block in self.encoder_blocks:
            x = block(x)
        return self.to_codes(x)

    def _decoded(self, x: Array) -> Array:
        """Image of the vectors of codes."""
        x = self.from_codes(x)
        for block in self.decoder_blocks:
            x = block(x)
        for layer in self.up:
            # The activation comes first, as the last layer has none.
            x = layer(self.activation(x))
        return x


def vqvae(**options: Any) -> VQVAE:
    """Small VQ-VAE of MNIST: 7×7 codes out of 128; 109,969 parameters.

    Args:
      **options: Other attributes of `VQVAE`.

    References:
      van den Oord, Vinyals and Kavukcuoglu, `Neural Discrete Representation Learning
      <https://arxiv.org/abs/1711.00937>`_, 2017.
    """
    sizes: Any = {"features": (32, 64), "num_codes": 128, "code_size": 16}
    return VQVAE(**{**sizes, **options})
