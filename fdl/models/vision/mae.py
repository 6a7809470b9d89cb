"""Masked autoencoders."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

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
    """Sees a few patches of an image and tells what the others are.

    A `ViT` encodes the patches that are visible, and a light Transformer decodes them,
    with a token of its own in each place that is hidden. Submodules: ``vit``, whose
    parameters are those of a `ViT` with positions of ``"mae"``; ``decoder``, and what
    stands around it. Intermediates: ``vit/tokens``, what the encoder makes of the
    visible patches, and those of the layers of both.

    Attributes:
      patch_size: Height and width of a patch, in pixels.
      num_layers: Blocks of the encoder.
      num_heads: Heads of each of its attentions.
      hidden_size: Size of a token.
      mlp_size: Hidden units of its feed-forward networks; four times the size of a
        token where None.
      decoder_layers: Blocks of the decoder.
      decoder_heads: Heads of each of its attentions.
      decoder_size: Size of its tokens.
      decoder_mlp_size: Hidden units of its feed-forward networks; four times the size
        of a token where None.
      activation: That of all feed-forward networks.
      mask_ratio: Fraction of the patches that are hidden.
      image_size: Height and width of the images, for `example`.
      remat: Whether what a block computes is computed again in the backward pass.
      scan_layers: Whether one block is compiled and run many times.
      dtype: What is computed in; that of inputs and parameters where None.
      param_dtype: What parameters are stored in.

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
        """Maps images to what their patches may be, and which ones were hidden.

        Args:
          images: float [B, H, W, C].
          noise: Orders the patches of each image, float [B, H·W / P²]: those with the
            smallest numbers are visible. By default it is drawn from the stream
            ``dropout``.
          train: Whether it is training.

        Returns:
          The pixels of each patch, float [B, H·W / P², P·P·C], in the order of
          `patchify`, and bool [B, H·W / P²], true where a patch was hidden.
        """
        b, height, width, channels = images.shape
        grid = height // self.patch_size, width // self.patch_size
        num_patches = grid[0] * grid[1]
        if noise is None:
            noise = self._noise(b, num_patches)
        order = jnp.argsort(noise, axis=1)
        rank = jnp.argsort(order, axis=1)
        num_visible = int(num_patches * (1 - self.mask_ratio))
        x = self._encoder()(images, order[:, :num_visible], train=train)
        x = self._decode(x, rank, grid, train)
        pixels = self._dense(self.patch_size**2 * channels, name="prediction")(x)
        return pixels, rank >= num_visible

    def _noise(self, batch_size, num_patches):
        if not (self.has_rng("dropout") or self.is_initializing()):
            raise ValueError(
                "Which patches are hidden is random: give noise, or a key for the "
                'stream "dropout".'
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
        """Tokens of all patches, float [B, N, decoder_size]."""
        size, dtypes = self.decoder_size, self._dtypes()
        x = self._dense(size, name="decoder_embedding")(x)
        x, first = x[:, 1:], x[:, :1]
        hidden = self.param(
            "mask_token", nn.initializers.normal(0.02), (1, 1, size), self.param_dtype
        )
        hidden = hidden.astype(x.dtype)
        shape = (x.shape[0], rank.shape[1] - x.shape[1], size)
        x = jnp.concatenate([x, jnp.broadcast_to(hidden, shape)], axis=1)
        x = jnp.take_along_axis(x, rank[..., None], axis=1)
        x = x + sincos_positions(grid[0], grid[1], size).astype(x.dtype)
        x = jnp.concatenate([first, x], axis=1)
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
        return x[:, 1:]

    def _dense(self, size: int, name: str) -> nn.Dense:
        xavier = nn.initializers.xavier_uniform()
        return dense(size, kernel_init=xavier, name=name, **self._dtypes())

    def _dtypes(self) -> dict[str, Any]:
        return {"dtype": self.dtype, "param_dtype": self.param_dtype}

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """One image, and noise."""
        size = self.image_size
        num_patches = (size // self.patch_size) ** 2
        return (
            jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32),
            jax.ShapeDtypeStruct((1, num_patches), jnp.float32),
        )

    def checkpoints(self) -> Mapping[str, Rules]:
        """Published weights that fit."""
        return {"transformers": formats.TRANSFORMERS}


def mae_vit_b16(**options: Any) -> MAE:
    """MAE with an encoder of ViT-B/16; 111,655,680 parameters.

    Its 252,160 positions are fixed, and not counted.

    Args:
      **options: All others of `MAE`.

    Example:
      What is learned serves a classifier:

      >>> from fdl import models
      >>> from fdl.models.vision.vit import vit_b16
      >>> model, classifier = mae_vit_b16(), vit_b16(positions="mae")
      >>> encoder, params = (
      ...     jax.eval_shape(init, jax.random.key(0))["params"]
      ...     for init, _ in map(models.functional, (model, classifier))
      ... )
      >>> params.keys() - encoder["vit"].keys()
      {'head'}
    """
    return MAE(16, 12, 12, 768, **options)


def mae_vit_l16(**options: Any) -> MAE:
    """MAE with an encoder of ViT-L/16; 329,239,296 parameters.

    Args:
      **options: All others of `MAE`.
    """
    return MAE(16, 24, 16, 1024, **options)
