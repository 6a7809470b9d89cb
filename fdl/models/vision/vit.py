"""Vision Transformers (ViT)."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from fdl.errors import UserError
from fdl.models.layers import layer_norm
from fdl.models.layers.image_tokens import patch_embedding, sincos_positions
from fdl.models.layers.image_tokens import resize_positions as resize_positions
from fdl.models.layers.layer_stack import Stack
from fdl.models.layers.transformer_block import TransformerBlock
from fdl.models.pretrained import Rules
from fdl.models.pretrained import vit as formats
from fdl.types import Array

# Published weights were trained with the exact function; flax approximates by default.
_gelu = functools.partial(nn.gelu, approximate=False)
_zeros = nn.initializers.zeros


class ViT(nn.Module):
    """Vision Transformer: a Transformer encoder on patches of an image.

    As in timm and torchvision, the table of learned positions has a row for the class
    token; fixed positions have none. Intermediates: ``encoder/layers_0/outputs`` and so
    on, the outputs of the layers; ``encoder/layers_0/attention/weights`` and so on, the
    attention weights; ``tokens``, the tokens before pooling; ``features``, the inputs
    of the classification head.

    Attributes:
      patch_size: Height and width of a patch, in pixels.
      num_layers: Number of blocks.
      num_heads: Number of attention heads.
      hidden_size: Size of the token representations.
      mlp_size: Hidden units of the feed-forward networks; ``4 * hidden_size`` if None.
      activation: Activation of the feed-forward networks.
      pool: Pooling: ``"token"`` takes a class token that precedes the patches,
        ``"mean"`` averages the patches and has no class token, and ``"none"`` applies
        the head to the class token and to each patch.
      positions: Position embeddings: ``"learned"``; ``"sincos2d"``, fixed as in
        big_vision; or ``"mae"``, fixed as in masked autoencoders, whose frequencies
        differ.
      representation_size: Units of a dense layer with tanh before the head; None for no
        such layer.
      num_classes: Units of the classification head; if None there is no head, and the
        pooled features are returned.
      image_size: Height and width of the images, for `example`. The table of learned
        positions fits the images used for initialisation; see `resize_positions`.
      epsilon: Constant that layer norms add to the variance.
      dropout: Dropout rate of the embedded tokens, the hidden units of the feed-forward
        networks, and the output of each branch.
      attention_dropout: Dropout rate of the attention weights.
      stochastic_depth: Probability of dropping a branch in the last block, for each
        example; it grows linearly with depth, from zero in the first block.
      remat: Whether to rematerialise each block in the backward pass.
      scan_layers: Whether to scan over the blocks, which compiles a single one.
      dtype: Computation dtype; that of inputs and parameters if None.
      param_dtype: Dtype of the parameters.

    References:
      Dosovitskiy et al., `An Image is Worth 16x16 Words: Transformers for Image
      Recognition at Scale <https://arxiv.org/abs/2010.11929>`_, 2020.
    """

    patch_size: int
    num_layers: int
    num_heads: int
    hidden_size: int
    mlp_size: int | None = None
    activation: Callable[[Array], Array] = _gelu
    pool: str = "token"
    positions: str = "learned"
    representation_size: int | None = None
    num_classes: int | None = 1000
    image_size: int = 224
    epsilon: float = 1e-6
    dropout: float = 0.0
    attention_dropout: float = 0.0
    stochastic_depth: float = 0.0
    remat: bool = False
    scan_layers: bool = False
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(
        self, images: Array, kept: Array | None = None, *, train: bool = False
    ) -> Array:
        """Maps images to logits, float [B, num_classes].

        Args:
          images: float [B, H, W, C].
          kept: Indices of the patches to encode, int [B, K]; all by default.
          train: Whether to run in training mode.

        Returns:
          float [B, num_classes], or [B, 1 + K, num_classes] with ``pool="none"``.
        """
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        x = self._embed(images, kept)
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        x = self._encode(x, train)
        x = layer_norm(self.epsilon, name="norm", **dtypes)(x)
        self.sow("intermediates", "tokens", x)
        if self.pool != "none":
            x = x[:, 0] if self.pool == "token" else x.mean(axis=1)
        if self.representation_size is not None:
            x = nn.Dense(self.representation_size, name="pre_logits", **dtypes)(x)
            x = jnp.tanh(x)
        self.sow("intermediates", "features", x)
        if self.num_classes is None:
            return x
        # A zero head starts from uniform predictions, as in the authors' code.
        return nn.Dense(self.num_classes, kernel_init=_zeros, name="head", **dtypes)(x)

    def _embed(self, images, kept):
        """Embeds patches with their positions, float [B, 1 + K or K, D]."""
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        size, patch_size = self.hidden_size, self.patch_size
        x = patch_embedding(size, patch_size, name="embedding", **dtypes)(images)
        b, height, width, _ = x.shape
        table = self._positions(height, width).astype(x.dtype)
        # A row of the class token, if there is one, comes first.
        x = jax.lax.collapse(x, 1, 3) + table[:, -height * width :]
        if kept is not None:
            # After the positions are added, so that each patch keeps its own.
            x = jnp.take_along_axis(x, kept[..., None], axis=1)
        if self.pool == "mean":
            return x
        token = self.param("class_token", _zeros, (1, 1, size), self.param_dtype)
        token = token.astype(x.dtype)
        if self.positions == "learned":
            token = token + table[:, :1]
        return jnp.concatenate([jnp.broadcast_to(token, (b, 1, size)), x], axis=1)

    def _positions(self, height, width):
        """Position embeddings, float [1, 1 + height·width or height·width, D]."""
        if self.pool not in ("token", "mean", "none"):
            raise UserError(f"pool={self.pool!r}: expected 'token', 'mean' or 'none'")
        if self.positions == "learned":
            num_rows = height * width + (self.pool != "mean")
            normal = nn.initializers.normal(0.02)
            shape = (1, num_rows, self.hidden_size)
            return self.param("positions", normal, shape, self.param_dtype)
        if self.positions not in ("sincos2d", "mae"):
            raise UserError(
                f"positions={self.positions!r}: expected 'learned', 'sincos2d' or 'mae'"
            )
        inclusive = self.positions == "sincos2d"
        return sincos_positions(height, width, self.hidden_size, inclusive=inclusive)

    def _encode(self, x, train):
        block: Callable[..., nn.Module] = functools.partial(
            TransformerBlock,
            self.num_heads,
            self.mlp_size or 4 * self.hidden_size,
            activation=self.activation,
            norm=functools.partial(
                layer_norm,
                self.epsilon,
                dtype=self.dtype,
                param_dtype=self.param_dtype,
            ),
            dropout=self.dropout,
            attention_dropout=self.attention_dropout,
            mlp_dropout=self.dropout,
            dtype=self.dtype,
            param_dtype=self.param_dtype,
        )
        encoder = Stack(
            block, self.num_layers, self.scan_layers, self.remat, name="encoder"
        )
        rates: Any = np.linspace(0, self.stochastic_depth, self.num_layers)
        return encoder(x, train, per_layer=(rates,) if self.stochastic_depth else ())

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Shape of one image of `image_size`."""
        size = self.image_size
        return (jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32),)

    def resizable(self) -> Mapping[str, Callable[..., Array]]:
        """Functions that resize parameters for another image or patch size, by path."""
        side, num_prefix = self.image_size // self.patch_size, int(self.pool != "mean")

        def resize(table, shape):
            del shape  # It follows from the size of the images.
            return resize_positions(table, num_prefix, (side, side))

        return {"params/positions": resize}

    def checkpoints(self) -> Mapping[str, Rules]:
        """Conversion rules of published weights, by source."""
        return {
            "timm": formats.TIMM,
            "torchvision": formats.TORCHVISION,
            "transformers": formats.TRANSFORMERS,
        }


def vit_ti16(**options: Any) -> ViT:
    """ViT-Ti/16; 5,717,416 parameters.

    Args:
      **options: Other attributes of `ViT`.

    References:
      Touvron et al., `Training data-efficient image transformers & distillation through
      attention <https://arxiv.org/abs/2012.12877>`_, 2020.
    """
    return ViT(16, 12, 3, 192, **options)


def vit_s16(**options: Any) -> ViT:
    """ViT-S/16; 22,050,664 parameters.

    Args:
      **options: Other attributes of `ViT`.

    References:
      Touvron et al., `Training data-efficient image transformers & distillation through
      attention <https://arxiv.org/abs/2012.12877>`_, 2020.

    Example:
      The plain baseline of big_vision (Beyer, Zhai and Kolesnikov, `Better plain ViT
      baselines for ImageNet-1k <https://arxiv.org/abs/2205.01580>`_, 2022):

      >>> from fdl import models
      >>> module = vit_s16(pool="mean", positions="sincos2d", representation_size=384)
      >>> shapes = jax.eval_shape(models.functional(module).init, jax.random.key(0))
      >>> sum(leaf.size for leaf in jax.tree.leaves(shapes))
      22122472
    """
    return ViT(16, 12, 6, 384, **options)


def vit_b16(**options: Any) -> ViT:
    """ViT-B/16; 86,567,656 parameters.

    Args:
      **options: Other attributes of `ViT`.
    """
    return ViT(16, 12, 12, 768, **options)


def vit_b32(**options: Any) -> ViT:
    """ViT-B/32; 88,224,232 parameters.

    Args:
      **options: Other attributes of `ViT`.
    """
    return ViT(32, 12, 12, 768, **options)


def vit_l16(**options: Any) -> ViT:
    """ViT-L/16; 304,326,632 parameters.

    Args:
      **options: Other attributes of `ViT`.
    """
    return ViT(16, 24, 16, 1024, **options)
