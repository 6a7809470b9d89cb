"""Masked autoencoders (MAE)."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from fdl.errors import UserError
from fdl.models.layers import layer_norm
from fdl.models.layers.dense import dense
from fdl.models.layers.image_tokens import sincos_positions
from fdl.models.layers.layer_stack import Stack
from fdl.models.layers.transformer_block import TransformerBlock
from fdl.models.pretrained import Rules
from fdl.models.pretrained import mae as formats
from fdl.models.vision.vit import ViT
from fdl.types import Array

_gelu = functools.partial(nn.gelu, approximate=False)


class MAE(nn.Module):
    """Masked autoencoder: reconstructs images from a few visible patches.

    A `ViT` encodes the visible patches only, and a light Transformer decodes them
    together with mask tokens in the places of the others. Submodules: ``vit``, whose
    parameters are those of a `ViT` with ``positions="mae"``; ``decoder``, with its
    embedding, norm and prediction beside it. Intermediates: ``vit/tokens``, the encoded
    visible patches, and the outputs of the blocks of both Transformers.

    Attributes:
      patch_size: Height and width of a patch, in pixels.
      num_layers: Number of Transformer blocks of the encoder.
      num_heads: Number of attention heads of the encoder.
      hidden_size: Number of features of an encoder token.
      mlp_size: Hidden units of the encoder's feed-forward networks; four times
        `hidden_size` if None.
      decoder_layers: Number of Transformer blocks of the decoder.
      decoder_heads: Number of attention heads of the decoder.
      decoder_size: Number of features of a decoder token.
      decoder_mlp_size: Hidden units of the decoder's feed-forward networks; four times
        `decoder_size` if None.
      activation: Activation of all feed-forward networks.
      mask_ratio: Fraction of the patches that are masked.
      image_size: Height and width of the images in pixels, for `example`.
      remat: Whether to recompute the activations of each block in the backward pass.
      scan_layers: Whether to run the blocks as one `flax.linen.scan`, compiled once.
      dtype: Dtype of the computation; inferred from inputs and parameters if None.
      param_dtype: Dtype of the parameters.

    References:
      He et al., `Masked Autoencoders Are Scalable Vision Learners
      <https://arxiv.org/abs/2111.06377>`_, 2021.
    """

    patch_size: int
    num_layers: int
    num_heads: int
    hidden_size: int
    mlp_size: int | None = None
    decoder_layers: int = 8
    decoder_heads: int = 16
    decoder_size: int = 512
    decoder_mlp_size: int | None = None
    activation: Callable[[Array], Array] = _gelu
    mask_ratio: float = 0.75
    image_size: int = 224
    remat: bool = False
    scan_layers: bool = False
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(
        self, images: Array, noise: Array | None = None, *, train: bool = False
    ) -> tuple[Array, Array]:
        """Maps images to reconstructed patches and the mask.

        Args:
          images: float [B, H, W, C].
          noise: Random scores of the patches, float [B, H·W / P²]: those with the
            smallest scores are visible. Drawn from the random stream ``dropout`` if
            None.
          train: Whether to run in training mode.

        Returns:
          Predicted pixels of each patch, float [B, H·W / P², P·P·C], in the order of
          `patchify`, and the mask, bool [B, H·W / P²], true at masked patches.

        Raises:
          UserError: There is neither noise nor a key for the stream ``dropout``.
        """
        b, height, width, channels = images.shape
        grid = height // self.patch_size, width // self.patch_size
        num_patches = grid[0] * grid[1]
        if noise is None:
            noise = self._noise(b, num_patches)
        order = jnp.argsort(noise, axis=1)
        # The second argsort inverts the permutation. Ranks restore the order of the
        # patches in the decoder, and tell which ones are masked.
        rank = jnp.argsort(order, axis=1)
        num_visible = int(num_patches * (1 - self.mask_ratio))
        x = self._encoder()(images, order[:, :num_visible], train=train)
        x = self._decode(x, rank, grid, train)
        pixels = self._dense(self.patch_size**2 * channels, name="prediction")(x)
        return pixels, rank >= num_visible

    def _noise(self, batch_size, num_patches):
        # At initialisation `make_rng` falls back to the key of the parameters.
        if not (self.has_rng("dropout") or self.is_initializing()):
            raise UserError(
                "noise=None: expected an array, or a key for the stream 'dropout' to "
                "draw the masked patches"
            )
        return jax.random.uniform(self.make_rng("dropout"), (batch_size, num_patches))

    def _encoder(self):
        return ViT(
            self.patch_size,
            self.num_layers,
            self.num_heads,
            self.hidden_size,
            self.mlp_size,
            activation=self.activation,
            pool="none",
            positions="mae",
            num_classes=None,
            remat=self.remat,
            scan_layers=self.scan_layers,
            name="vit",
            **self._dtypes(),
        )

    def _decode(self, x, rank, grid, train):
        """Decoded tokens of all patches, float [B, N, decoder_size]."""
        size, dtypes = self.decoder_size, self._dtypes()
        x = self._dense(size, name="decoder_embedding")(x)
        # The class token stays in front, and only patches go back to their places.
        x, class_token = x[:, 1:], x[:, :1]
        mask_token = self.param(
            "mask_token", nn.initializers.normal(0.02), (1, 1, size), self.param_dtype
        )
        mask_token = mask_token.astype(x.dtype)
        shape = (x.shape[0], rank.shape[1] - x.shape[1], size)
        x = jnp.concatenate([x, jnp.broadcast_to(mask_token, shape)], axis=1)
        # Visible patches come first and mask tokens last, in the order of the scores.
        x = jnp.take_along_axis(x, rank[..., None], axis=1)
        x = x + sincos_positions(grid[0], grid[1], size).astype(x.dtype)
        x = jnp.concatenate([class_token, x], axis=1)
        block: Callable[..., nn.Module] = functools.partial(
            TransformerBlock,
            self.decoder_heads,
            self.decoder_mlp_size or 4 * size,
            activation=self.activation,
            norm=functools.partial(layer_norm, **dtypes),
            **dtypes,
        )
        decoder = Stack(
            block, self.decoder_layers, self.scan_layers, self.remat, name="decoder"
        )
        x = layer_norm(name="decoder_norm", **dtypes)(decoder(x, train))
        # The class token is attended to, but predicts no patch.
        return x[:, 1:]

    def _dense(self, size: int, name: str) -> nn.Dense:
        xavier = nn.initializers.xavier_uniform()
        return dense(size, kernel_init=xavier, name=name, **self._dtypes())

    def _dtypes(self) -> dict[str, Any]:
        return {"dtype": self.dtype, "param_dtype": self.param_dtype}

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Example inputs: one image of `image_size` and its noise."""
        size = self.image_size
        num_patches = (size // self.patch_size) ** 2
        return (
            jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32),
            jax.ShapeDtypeStruct((1, num_patches), jnp.float32),
        )

    def checkpoints(self) -> Mapping[str, Rules]:
        """Conversion rules of pretrained weights, by the name of their format."""
        return {"transformers": formats.TRANSFORMERS}


def mae_vit_b16(**options: Any) -> MAE:
    """MAE with a ViT-B/16 encoder; 111,655,680 parameters.

    The 252,160 numbers of its fixed position embeddings are not counted.

    Args:
      **options: Other attributes of `MAE`.

    Example:
      The encoder has all parameters of a classifier except its head:

      >>> from fdl import models
      >>> from fdl.models.vision.vit import vit_b16
      >>> model, classifier = mae_vit_b16(), vit_b16(positions="mae")
      >>> encoder, params = (
      ...     jax.eval_shape(models.functional(x).init, jax.random.key(0))["params"]
      ...     for x in (model, classifier)
      ... )
      >>> params.keys() - encoder["vit"].keys()
      {'head'}
    """
    return MAE(16, 12, 12, 768, **options)


def mae_vit_l16(**options: Any) -> MAE:
    """MAE with a ViT-L/16 encoder; 329,239,296 parameters.

    Args:
      **options: Other attributes of `MAE`.
    """
    return MAE(16, 24, 16, 1024, **options)
