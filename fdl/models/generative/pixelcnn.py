"""PixelCNN: autoregressive convolutional networks with exact likelihoods."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from fdl.errors import UserError
from fdl.models.layers import conv
from fdl.models.layers.pixel_values import pixel_values
from fdl.types import Array


class GatedLayer(nn.Module):
    """Layer of a gated PixelCNN: masked convolutions of two stacks, and their gates.

    The vertical stack at (r, c) sees the rows up to r, that of the pixel included; the
    horizontal stack sees its own row up to the pixel, and the vertical stack of the row
    above. The masks leave half a kernel of ones, so that the convolutions are of
    smaller kernels, padded on one side. Each stack ends in a gate, tanh(a) ⊙ σ(b).

    Attributes:
      features: Number of channels of each stack.
      kernel_size: Height and width of the whole kernel, odd.
      mask: Type of the mask: of type "A", the horizontal stack does not see the pixel
        itself, as in the first layer; of type "B" it does, and is residual.
      dropout: Dropout rate of the gated features of the horizontal stack.
      dtype: Dtype of the computation; inferred from inputs and parameters if None.
      param_dtype: Dtype of the parameters.
    """

    features: int
    kernel_size: int
    mask: str = "B"
    dropout: float = 0.0
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(
        self, vertical: Array, horizontal: Array, train: bool
    ) -> tuple[Array, Array]:
        """Maps both stacks [B, H, W, C] to the next, float [B, H, W, features]."""
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        width, reach = 2 * self.features, self.kernel_size // 2
        own = self.mask == "B"
        above = conv(
            width,
            (reach + 1, self.kernel_size),
            padding=((reach, 0), (reach, reach)),
            name="vertical",
            **dtypes,
        )(vertical)
        left = conv(
            width,
            (1, reach + own),
            padding=((0, 0), (reach, 0)),
            name="horizontal",
            **dtypes,
        )(horizontal)
        # Of type A, the last of the outputs would be that of a pixel behind the row.
        left = left[:, :, : horizontal.shape[2]]
        link = nn.Dense(width, name="link", **dtypes)(_shifted_down(above))
        gated = nn.Dropout(self.dropout, deterministic=not train)(_gate(left + link))
        x = nn.Dense(self.features, name="output", **dtypes)(gated)
        return _gate(above), x + horizontal if own else x


class PixelCNN(nn.Module):
    """Gated PixelCNN: the distribution of each pixel, given all pixels before it.

    Pixels are in raster order, row by row. The probability of an image is the product
    of those of its pixels, p(x) = Πᵢ p(xᵢ | x₁, ..., xᵢ₋₁), each a softmax over V
    values; masked convolutions compute all of them at once. The two stacks of a gated
    PixelCNN have no blind spot: with enough layers, each pixel sees all before it. A
    value is embedded, so that values need no order, as those of codes have none.
    Intermediates: ``layers_0`` and so on, the horizontal stack.

    Attributes:
      num_values: Number of values V of a pixel.
      features: Number of channels of each stack.
      num_layers: Number of layers, of which the first has masks of type A.
      kernel_size: Height and width of the kernels, odd.
      first_kernel_size: Height and width of the kernel of the first layer, odd.
      output_features: Number of channels of the hidden layer of the output.
      dropout: Dropout rate of the gated features, and of that hidden layer.
      input_shape: Height, width and number of channels, 1, of an image.
      dtype: Dtype of the computation; inferred from the parameters if None.
      param_dtype: Dtype of the parameters.

    References:
      van den Oord, Kalchbrenner and Kavukcuoglu, `Pixel Recurrent Neural Networks
      <https://arxiv.org/abs/1601.06759>`_, 2016.

      van den Oord et al., `Conditional Image Generation with PixelCNN Decoders
      <https://arxiv.org/abs/1606.05328>`_, 2016 (the two gated stacks).

    Example:
      >>> model = PixelCNN(2, features=4, num_layers=2, input_shape=(3, 3, 1))
      >>> images = jnp.array([[0, 1, 1], [0, 0, 1], [1, 1, 0]]).reshape(1, 3, 3, 1)
      >>> variables = jax.jit(model.init)(jax.random.key(0), images)
      >>> jax.jit(model.apply)(variables, images).shape
      (1, 3, 3, 1, 2)
    """

    num_values: int
    features: int
    num_layers: int
    kernel_size: int = 3
    first_kernel_size: int = 7
    output_features: int | None = None
    dropout: float = 0.0
    input_shape: Sequence[int] = (28, 28, 1)
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, images: Array, *, train: bool = False) -> Array:
        """Maps images to the logits of all values of each pixel.

        Args:
          images: Values 0 to V − 1, int [B, H, W, 1]; or pixels v / (V − 1) from 0 to
            1, float [B, H, W, 1].
          train: Whether to run in training mode.

        Returns:
          Logits, float [B, H, W, 1, V]; those of a pixel do not depend on the pixel
          itself, nor on later ones.

        Raises:
          UserError: The size of a kernel is even, or there is not one channel.
        """
        self._check(images)
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        values = pixel_values(images, self.num_values).squeeze(-1)
        embed = nn.Embed(self.num_values, self.features, name="embedding", **dtypes)
        vertical = horizontal = embed(values)
        for i in range(self.num_layers):
            vertical, horizontal = GatedLayer(
                self.features,
                self.kernel_size if i else self.first_kernel_size,
                "B" if i else "A",
                self.dropout,
                name=f"layers_{i}",
                **dtypes,
            )(vertical, horizontal, train)
            self.sow("intermediates", f"layers_{i}", horizontal)
        size = self.output_features or self.features
        x = nn.relu(nn.Dense(size, name="hidden", **dtypes)(nn.relu(horizontal)))
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return nn.Dense(self.num_values, name="head", **dtypes)(x)[..., None, :]

    def _check(self, images: Array) -> None:
        for name in ("kernel_size", "first_kernel_size"):
            size = getattr(self, name)
            if size % 2 == 0 or size < 3:
                raise UserError(f"{name}={size}: expected an odd number, at least 3")
        if images.ndim != 4 or images.shape[-1] != 1:
            raise UserError(
                f"images.shape={list(images.shape)}: expected [B, H, W, 1], as a "
                "PixelCNN has the order of the pixels of one channel"
            )

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Example inputs: the values of one image."""
        return (jax.ShapeDtypeStruct((1, *self.input_shape), jnp.int32),)


def pixelcnn(**options: Any) -> PixelCNN:
    """Gated PixelCNN of binarised MNIST, with 7 layers; 200,386 parameters.

    Args:
      **options: Other attributes of `PixelCNN`.

    References:
      van den Oord, Kalchbrenner and Kavukcuoglu, `Pixel Recurrent Neural Networks
      <https://arxiv.org/abs/1601.06759>`_, 2016.
    """
    return PixelCNN(**{"num_values": 2, "features": 32, "num_layers": 7, **options})


def _gate(x: Array) -> Array:
    """Gated activation: tanh of one half of the channels, times the σ of the other."""
    a, b = jnp.split(x, 2, axis=-1)
    return jnp.tanh(a) * nn.sigmoid(b)


def _shifted_down(x: Array) -> Array:
    """Features [B, H, W, C] of the row above each pixel, of zeros above the first."""
    return jnp.pad(x, ((0, 0), (1, 0), (0, 0), (0, 0)))[:, :-1]
