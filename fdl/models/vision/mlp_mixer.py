"""MLP-Mixer."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from fdl.models.layers import StochasticDepth, layer_norm
from fdl.models.layers.image_tokens import patch_embedding
from fdl.models.layers.layer_stack import Stack
from fdl.models.layers.transformer_block import FeedForward
from fdl.models.pretrained import Rules
from fdl.models.pretrained import mlp_mixer as formats
from fdl.types import Array

_gelu = functools.partial(nn.gelu, approximate=False)


class MixerBlock(nn.Module):
    """Mixer block: token mixing, then channel mixing, each a residual perceptron.

    Attributes:
      tokens_mlp_size: Hidden units of the token-mixing perceptron.
      channels_mlp_size: Hidden units of the channel-mixing perceptron.
      activation: Activation of both perceptrons.
      dropout: Dropout rate of the hidden units and outputs of both perceptrons.
      dtype: Dtype of the computation; inferred from inputs and parameters if None.
      param_dtype: Dtype of the parameters.
    """

    tokens_mlp_size: int
    channels_mlp_size: int
    activation: Callable[[Array], Array] = _gelu
    dropout: float = 0.0
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: Array, train: bool, rate: float | Array = 0.0) -> Array:
        """Maps tokens to outputs of the same shape.

        Args:
          x: Tokens of the patches, float [B, T, D].
          train: Whether to run in training mode.
          rate: Stochastic depth: probability that a branch is dropped, per example.
        """
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        mlp: Callable[..., nn.Module] = functools.partial(
            FeedForward,
            activation=self.activation,
            dropout=self.dropout,
            kernel_init=nn.initializers.lecun_normal(),
            **dtypes,
        )
        drop = nn.Dropout(self.dropout, deterministic=not train)
        # Transposed to [B, D, T], the dense layers mix tokens with weights that all
        # channels share.
        y = layer_norm(name="tokens_norm", **dtypes)(x).swapaxes(1, 2)
        y = mlp(self.tokens_mlp_size, name="tokens_mlp")(y, train).swapaxes(1, 2)
        x = x + StochasticDepth(rate)(drop(y), train)
        y = layer_norm(name="channels_norm", **dtypes)(x)
        y = mlp(self.channels_mlp_size, name="channels_mlp")(y, train)
        x = x + StochasticDepth(rate)(drop(y), train)
        self.sow("intermediates", "outputs", x)
        return x


class MLPMixer(nn.Module):
    """MLP-Mixer: perceptrons across patches alternate with perceptrons across channels.

    Images must have the size for which it was initialised, as the token-mixing kernels
    depend on the number of patches. Intermediates: ``blocks/layers_0/outputs`` and so
    on, the outputs of the blocks; ``tokens``, those that are averaged; ``features``,
    the input of the classification layer.

    Attributes:
      patch_size: Height and width of a patch, in pixels.
      num_layers: Number of mixer blocks.
      hidden_size: Number of channels of a token.
      tokens_mlp_size: Hidden units of token mixing; half of `hidden_size` if None.
      channels_mlp_size: Hidden units of channel mixing; four times `hidden_size` if
        None.
      activation: Activation of all hidden units.
      num_classes: Number of classes; None omits the classification layer and returns
        the pooled features.
      image_size: Height and width of the images in pixels, for `example`.
      dropout: Dropout rate of the hidden units and of the outputs of each branch.
      stochastic_depth: Probability that a residual branch of the last block is dropped,
        per example; it grows linearly with depth from zero at the first block.
      remat: Whether to recompute the activations of each block in the backward pass.
      scan_layers: Whether to run the blocks as one `flax.linen.scan`, compiled once.
      dtype: Dtype of the computation; inferred from inputs and parameters if None.
      param_dtype: Dtype of the parameters.

    References:
      Tolstikhin et al., `MLP-Mixer: An all-MLP Architecture for Vision
      <https://arxiv.org/abs/2105.01601>`_, 2021.
    """

    patch_size: int
    num_layers: int
    hidden_size: int
    tokens_mlp_size: int | None = None
    channels_mlp_size: int | None = None
    activation: Callable[[Array], Array] = _gelu
    num_classes: int | None = 1000
    image_size: int = 224
    dropout: float = 0.0
    stochastic_depth: float = 0.0
    remat: bool = False
    scan_layers: bool = False
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, images: Array, *, train: bool = False) -> Array:
        """Maps images [B, H, W, C] to logits, float [B, num_classes]."""
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        size = self.hidden_size
        embed = patch_embedding(size, self.patch_size, name="embedding", **dtypes)
        block: Callable[..., nn.Module] = functools.partial(
            MixerBlock,
            self.tokens_mlp_size or size // 2,
            self.channels_mlp_size or 4 * size,
            self.activation,
            self.dropout,
            **dtypes,
        )
        blocks = Stack(
            block, self.num_layers, self.scan_layers, self.remat, name="blocks"
        )
        rates: Any = np.linspace(0, self.stochastic_depth, self.num_layers)
        x = jax.lax.collapse(embed(images), 1, 3)
        # Without stochastic depth no rates are passed: scan and remat trace them, and
        # even zeros would draw random numbers and need a key.
        x = blocks(x, train, per_layer=(rates,) if self.stochastic_depth else ())
        x = layer_norm(name="norm", **dtypes)(x)
        self.sow("intermediates", "tokens", x)
        x = x.mean(axis=1)
        self.sow("intermediates", "features", x)
        if self.num_classes is None:
            return x
        # All classes start equally likely, as in the paper's code.
        zeros = nn.initializers.zeros
        return nn.Dense(self.num_classes, kernel_init=zeros, name="head", **dtypes)(x)

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Example inputs: one image of `image_size`."""
        size = self.image_size
        return (jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32),)

    def checkpoints(self) -> Mapping[str, Rules]:
        """Conversion rules of pretrained weights, by the name of their format."""
        return {"timm": formats.TIMM}


def mixer_s32(**options: Any) -> MLPMixer:
    """Mixer-S/32; 19,104,624 parameters.

    Args:
      **options: Other attributes of `MLPMixer`.
    """
    return MLPMixer(32, 8, 512, **options)


def mixer_s16(**options: Any) -> MLPMixer:
    """Mixer-S/16; 18,528,264 parameters.

    Args:
      **options: Other attributes of `MLPMixer`.

    Example:
      >>> from fdl import models
      >>> model = models.functional(mixer_s16(image_size=64, num_classes=10))
      >>> shapes = jax.eval_shape(model.init, jax.random.key(0))
      >>> block = shapes["params"]["blocks"]["layers_0"]
      >>> block["tokens_mlp"]["up"]["kernel"].shape  # 16 patches.
      (16, 256)
    """
    return MLPMixer(16, 8, 512, **options)


def mixer_b16(**options: Any) -> MLPMixer:
    """Mixer-B/16; 59,880,472 parameters.

    Args:
      **options: Other attributes of `MLPMixer`.
    """
    return MLPMixer(16, 12, 768, **options)


def mixer_l16(**options: Any) -> MLPMixer:
    """Mixer-L/16; 208,196,168 parameters.

    Args:
      **options: Other attributes of `MLPMixer`.
    """
    return MLPMixer(16, 24, 1024, **options)
