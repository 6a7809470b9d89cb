"""U-Net of denoising diffusion probabilistic models (DDPM)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from fdl.errors import UserError
from fdl.models.layers import conv
from fdl.models.layers.time_conditioned_block import (
    TimeBlock,
    group_norm,
    time_embedding,
    uniform,
)
from fdl.models.pretrained import Rules
from fdl.models.pretrained import ddpm_unet as formats
from fdl.types import Array


class DDPMUNet(nn.Module):
    """Denoising U-Net of DDPM: predicts the noise in images at a timestep.

    Residual blocks conditioned on the timestep, with self-attention at some levels.
    Intermediates: ``down0``, ``down1``, ..., ``middle``, ``up0``, ``up1``, ..., the
    outputs of the levels in the order of execution; ``down1_0/attention/weights`` and
    so on, the attention weights.

    Attributes:
      width: Base number of channels.
      multipliers: Channels of each level as multiples of `width`; each level has half
        the height and width of the one before.
      num_blocks: Blocks of each level on the way down; there is one more on the way up.
      attention_levels: Indices of the levels with self-attention, from 0 for the full
        resolution; the middle always has it.
      num_heads: Number of attention heads.
      num_groups: Number of groups of the group normalisations.
      dropout: Dropout rate inside each residual block.
      remat: Whether to recompute the activations of each block in the backward pass.
      input_shape: Shape of an image [H, W, C], for `example`; other sizes are accepted.
      dtype: Dtype of the computation; inferred from inputs and parameters if None.
      param_dtype: Dtype of the parameters.

    References:
      Ho, Jain and Abbeel, `Denoising Diffusion Probabilistic Models
      <https://arxiv.org/abs/2006.11239>`_, 2020.
    """

    width: int = 128
    multipliers: Sequence[int] = (1, 2, 2, 2)
    num_blocks: int = 2
    attention_levels: Sequence[int] = (1,)
    num_heads: int = 1
    num_groups: int = 32
    dropout: float = 0.0
    remat: bool = False
    input_shape: Sequence[int] = (32, 32, 3)
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(
        self, images: Array, timesteps: Array, *, train: bool = False
    ) -> Array:
        """Maps noisy images to the noise in them, of the same shape.

        Args:
          images: float [B, H, W, C]. Height and width are multiples of 2^(levels - 1).
          timesteps: Diffusion step of each image, int [B].
          train: Whether to apply dropout.

        Raises:
          UserError: Height or width is not a multiple of 2^(levels - 1).
        """
        last = len(self.multipliers) - 1
        if images.shape[1] % 2**last or images.shape[2] % 2**last:
            raise UserError(
                f"images.shape={images.shape}: expected height and width divisible by "
                f"{2**last} for {last + 1} levels"
            )
        attends = [i in self.attention_levels for i in range(last + 1)]
        time = self._embed(timesteps)
        x = self._conv(self.width, name="conv")(images)
        # Every output on the way down, downsampled ones too, is a skip connection: the
        # way up has one block more per level to consume them.
        skips = [x]
        for i in range(last + 1):
            for j in range(self.num_blocks):
                x = self._block(i, attends[i], f"down{i}_{j}")(x, time, train)
                skips.append(x)
            self.sow("intermediates", f"down{i}", x)
            if i < last:
                x = self._downsample(x.shape[-1], name=f"downsample{i}")(x)
                skips.append(x)
        x = self._block(last, True, "middle_0")(x, time, train)
        x = self._block(last, False, "middle_1")(x, time, train)
        self.sow("intermediates", "middle", x)
        for i, level in enumerate(reversed(range(last + 1))):
            for j in range(self.num_blocks + 1):
                x = jnp.concatenate([x, skips.pop()], axis=-1)
                x = self._block(level, attends[level], f"up{i}_{j}")(x, time, train)
            self.sow("intermediates", f"up{i}", x)
            if level > 0:
                # Nearest-neighbour upsampling, as in the paper's code.
                x = x.repeat(2, axis=1).repeat(2, axis=2)
                x = self._conv(x.shape[-1], name=f"upsample{i}")(x)
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        x = nn.silu(group_norm(self.num_groups, name="norm", **dtypes)(x))
        # The predicted noise starts at zero, its mean.
        return self._conv(
            images.shape[-1], kernel_init=nn.initializers.zeros, name="head"
        )(x)

    def _embed(self, timesteps):
        """Embedding of the timesteps, float [B, 4 width]."""
        x = time_embedding(timesteps, self.width)
        for i in (1, 2):
            x = nn.Dense(
                4 * self.width,
                kernel_init=uniform,
                dtype=self.dtype,
                param_dtype=self.param_dtype,
                name=f"time{i}",
            )(x if i == 1 else nn.silu(x))
        return x

    def _conv(self, features, **options):
        options = {"padding": 1, "kernel_init": uniform, **options}
        options |= {"dtype": self.dtype, "param_dtype": self.param_dtype}
        return conv(features, (3, 3), **options)

    def _downsample(self, features, **options):
        # TensorFlow's "SAME" pads even sizes at the end only. A symmetric padding would
        # shift the grid that the published weights were trained on by a pixel.
        padding = ((0, 1), (0, 1))
        return self._conv(features, strides=2, padding=padding, **options)

    def _block(self, level, attends, name):
        block: Callable[..., nn.Module] = TimeBlock
        if self.remat:
            # Argument 3, counted from `self`, is `train`: Python branches on it.
            block = nn.remat(TimeBlock, static_argnums=(3,))
        return block(
            self.width * self.multipliers[level],
            self.num_heads if attends else None,
            self.num_groups,
            self.dropout,
            self.dtype,
            self.param_dtype,
            name=name,
        )

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Example inputs: one image of `input_shape` and its timestep."""
        return (
            jax.ShapeDtypeStruct((1, *self.input_shape), jnp.float32),
            jax.ShapeDtypeStruct((1,), jnp.int32),
        )

    def checkpoints(self) -> Mapping[str, Rules]:
        """Conversion rules of pretrained weights, by the name of their format."""
        return {
            # Early versions of diffusers named the attention layers otherwise.
            "diffusers": formats.DIFFUSERS,
            "diffusers-old": formats.DIFFUSERS_OLD,
        }


def ddpm_cifar10(**options: Any) -> DDPMUNet:
    """DDPM U-Net for CIFAR-10; 35,746,307 parameters.

    Args:
      **options: Other attributes of `DDPMUNet`; the dropout rate is 0.1 by default.
    """
    return DDPMUNet(**{"dropout": 0.1, **options})


def ddpm_256(**options: Any) -> DDPMUNet:
    """DDPM U-Net for images of 256×256; 113,673,219 parameters.

    Args:
      **options: Other attributes of `DDPMUNet`.

    Example:
      >>> from fdl import models
      >>> model = models.functional(ddpm_256())
      >>> shapes = jax.eval_shape(model.init, jax.random.key(0))
      >>> sum(leaf.size for leaf in jax.tree.leaves(shapes))
      113673219
    """
    published: Any = {
        "multipliers": (1, 1, 2, 2, 4, 4),
        "attention_levels": (4,),
        "input_shape": (256, 256, 3),
    }
    return DDPMUNet(**{**published, **options})
