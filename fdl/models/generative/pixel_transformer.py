"""Transformers over pixels: language models of images, with exact likelihoods."""

import math
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from fdl.errors import UserError
from fdl.models.language.gpt import GPT
from fdl.models.layers.pixel_values import pixel_values
from fdl.types import Array


class PixelTransformer(nn.Module):
    """Transformer over pixels: a `GPT` whose tokens are pixels in raster order.

    A begin token and all pixels but the last go in, and the distribution of each pixel
    given all before it comes out: the probability of an image is exact, p(x) =
    Πᵢ p(xᵢ | x₁, ..., xᵢ₋₁). Channels of a pixel are tokens of their own, one after the
    other. Intermediates are those of the `GPT`, below ``gpt``.

    Attributes:
      num_values: Number of values V of a pixel.
      num_layers: Number of Transformer blocks.
      num_heads: Number of attention heads.
      hidden_size: Number of features of a token.
      dropout: Dropout rate; see `GPT`.
      input_shape: Height, width and number of channels of an image.
      dtype: Dtype of the computation; inferred from the parameters if None.
      param_dtype: Dtype of the parameters.

    References:
      Chen et al., `Generative Pretraining from Pixels
      <https://proceedings.mlr.press/v119/chen20s.html>`_, 2020.
    """

    num_values: int
    num_layers: int
    num_heads: int
    hidden_size: int
    dropout: float = 0.0
    input_shape: Sequence[int] = (28, 28, 1)
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    def setup(self) -> None:
        """Makes the language model."""
        self.gpt = self.language_model()

    def __call__(self, images: Array, *, train: bool = False) -> Array:
        """Maps images to the logits of all values of each pixel.

        Args:
          images: Values 0 to V − 1, int [B, H, W, C]; or pixels v / (V − 1) from 0 to
            1, float [B, H, W, C].
          train: Whether to run in training mode.

        Returns:
          Logits, float [B, H, W, C, V]; those of a pixel do not depend on the pixel
          itself, nor on later ones.

        Raises:
          UserError: The images are not of `input_shape`.
        """
        shape = tuple(self.input_shape)
        if images.shape[1:] != shape:
            raise UserError(
                f"images.shape={list(images.shape)}: expected [B, "
                f"{', '.join(map(str, shape))}], as of input_shape"
            )
        tokens = pixel_values(images, self.num_values).reshape(len(images), -1)
        begin = jnp.full((len(images), 1), self.num_values, jnp.int32)
        tokens = jnp.concatenate([begin, tokens[:, :-1]], axis=1)
        # The last of the tokens is the begin token, which is no value of a pixel.
        logits = self.gpt(tokens, train=train)[..., :-1]
        return logits.reshape(*images.shape, self.num_values)

    @nn.nowrap
    def language_model(self) -> GPT:
        """Language model of the pixels; the token V begins an image."""
        return GPT(
            self.num_layers,
            self.num_heads,
            self.hidden_size,
            vocab_size=self.num_values + 1,
            max_length=math.prod(self.input_shape),
            dropout=self.dropout,
            dtype=self.dtype,
            param_dtype=self.param_dtype,
        )

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Example inputs: the values of one image."""
        return (jax.ShapeDtypeStruct((1, *self.input_shape), jnp.int32),)


def pixel_transformer(**options: Any) -> PixelTransformer:
    """Small Transformer over the pixels of binarised MNIST; 894,080 parameters.

    Args:
      **options: Other attributes of `PixelTransformer`.

    References:
      Chen et al., `Generative Pretraining from Pixels
      <https://proceedings.mlr.press/v119/chen20s.html>`_, 2020.
    """
    sizes: Any = {"num_layers": 4, "num_heads": 4, "hidden_size": 128}
    return PixelTransformer(**{"num_values": 2, **sizes, **options})
