"""The U-Net that sees the noise in an image, for diffusion models."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

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
    """Predicts the noise in images, given how many steps of noise there were.

    A U-Net of residual blocks. Intermediates: ``down0``, ``down1``, ..., ``middle``,
    ``up0``, ``up1``, ..., the outputs of the levels in the order in which they run;
    ``down1_0/attention/weights`` and so on, what attends to what.

    Attributes:
      width: Channels of the first level.
      multipliers: How many times as many each level has; each has half the height and
        width of the one before.
      num_blocks: Blocks of each level on the way down; one more on the way up.
      attention_levels: Levels with attention, counted from 0; so has the middle.
      num_heads: Heads of each attention.
      num_groups: Groups of channels that are normalised together.
      dropout: Fraction of the features inside each block that is dropped in training.
      remat: Whether what a block computes is computed again in the backward pass.
      input_shape: Of an image, for its channels; other sizes are taken too.
      dtype: What is computed in; that of inputs and parameters where None.
      param_dtype: What parameters are stored in.

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
          timesteps: How many steps of noise are in each, int [B].
          train: Whether features are dropped.

        Raises:
          ValueError: The height or the width cannot be halved often enough.
        """
        last = len(self.multipliers) - 1
        if images.shape[1] % 2**last or images.shape[2] % 2**last:
            raise ValueError(
                f"Images have {images.shape[1]}×{images.shape[2]} pixels, but "
                f"{last + 1} levels need multiples of {2**last}."
            )
        attends = [i in self.attention_levels for i in range(last + 1)]
        time = self._embed(timesteps)
        x = self._conv(self.width, name="conv")(images)
        seen = [x]
        for i in range(last + 1):
            for j in range(self.num_blocks):
                x = self._block(i, attends[i], f"down{i}_{j}")(x, time, train)
                seen.append(x)
            self.sow("intermediates", f"down{i}", x)
            if i < last:
                x = self._downsample(x.shape[-1], name=f"downsample{i}")(x)
                seen.append(x)
        x = self._block(last, True, "middle_0")(x, time, train)
        x = self._block(last, False, "middle_1")(x, time, train)
        self.sow("intermediates", "middle", x)
        for i, level in enumerate(reversed(range(last + 1))):
            for j in range(self.num_blocks + 1):
                x = jnp.concatenate([x, seen.pop()], axis=-1)
                x = self._block(level, attends[level], f"up{i}_{j}")(x, time, train)
            self.sow("intermediates", f"up{i}", x)
            if level > 0:
                x = x.repeat(2, axis=1).repeat(2, axis=2)
                x = self._conv(x.shape[-1], name=f"upsample{i}")(x)
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        x = nn.silu(group_norm(self.num_groups, name="norm", **dtypes)(x))
        return self._conv(
            images.shape[-1], kernel_init=nn.initializers.zeros, name="head"
        )(x)

    def _embed(self, timesteps):
        """float [B, 4 width]."""
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
        # What has an even size is padded at its end alone.
        padding = ((0, 1), (0, 1))
        return self._conv(features, strides=2, padding=padding, **options)

    def _block(self, level, attends, name):
        block: Callable[..., nn.Module] = TimeBlock
        if self.remat:
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
        """One image of `input_shape`, and its timestep."""
        return (
            jax.ShapeDtypeStruct((1, *self.input_shape), jnp.float32),
            jax.ShapeDtypeStruct((1,), jnp.int32),
        )

    def checkpoints(self) -> Mapping[str, Rules]:
        """Published weights that fit."""
        return {
            "diffusers": formats.DIFFUSERS,
            "diffusers-old": formats.DIFFUSERS_OLD,
        }


def ddpm_cifar10(**options: Any) -> DDPMUNet:
    """DDPM U-Net for CIFAR-10; 35,746,307 parameters.

    Args:
      **options: All others of `DDPMUNet`. A tenth of the features is dropped unless
        they say otherwise.
    """
    return DDPMUNet(**{"dropout": 0.1, **options})


def ddpm_256(**options: Any) -> DDPMUNet:
    """DDPM U-Net for images of 256×256; 113,673,219 parameters.

    Args:
      **options: All others of `DDPMUNet`.

    Example:
      >>> from fdl import models
      >>> model = models.functional(ddpm_256())
      >>> shapes = jax.eval_shape(model.init, jax.random.key(0))
      >>> sum(leaf.size for leaf in jax.tree.leaves(shapes))
      113673219
    """
    fixed: Any = {
        "multipliers": (1, 1, 2, 2, 4, 4),
        "attention_levels": (4,),
        "input_shape": (256, 256, 3),
    }
    return DDPMUNet(**{**fixed, **options})
