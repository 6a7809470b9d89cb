"""EfficientNet."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from fdl.models.layers import average, conv
from fdl.models.layers.inverted_residual import InvertedResidual, Stage, divisible
from fdl.models.pretrained import Rules
from fdl.models.pretrained import efficientnet as formats
from fdl.models.vision.resnet import he_normal
from fdl.types import Array

_STAGES = (
    Stage(1, 3, 1, 16, 1),
    Stage(6, 3, 2, 24, 2),
    Stage(6, 5, 2, 40, 2),
    Stage(6, 3, 2, 80, 3),
    Stage(6, 5, 1, 112, 3),
    Stage(6, 5, 2, 192, 4),
    Stage(6, 3, 1, 320, 1),
)
# U(±1/√num_classes), as in torchvision.
_head_init = nn.initializers.variance_scaling(1 / 3, "fan_out", "uniform")


class EfficientNet(nn.Module):
    """EfficientNet: inverted residuals with squeeze-and-excitation.

    Intermediates: ``stage1``, ``stage2`` and so on, the outputs of the stages.

    Attributes:
      stages: Configuration of the blocks of each stage, before scaling.
      num_classes: Number of classes; None omits the classification layer and returns
        the pooled features.
      width_multiplier: Factor of the channels of `stages`, rounded to a multiple of 8.
      depth_multiplier: Factor of the blocks of `stages`, rounded up.
      squeeze: Channels of the squeeze-and-excitation as a fraction of a block's inputs.
      dropout: Dropout rate in front of the classification layer.
      stochastic_depth: Probability p that a block is skipped in training: block i of n
        is skipped with i p / n, counted from 0.
      remat: Whether to recompute the activations of each block in the backward pass.
      dtype: Dtype of the computation; inferred from inputs and parameters if None.
      param_dtype: Dtype of the parameters.

    References:
      Tan and Le, `EfficientNet: Rethinking Model Scaling for Convolutional Neural
      Networks <https://arxiv.org/abs/1905.11946>`_, 2019.
    """

    stages: Sequence[Stage]
    num_classes: int | None = 1000
    width_multiplier: float = 1.0
    depth_multiplier: float = 1.0
    squeeze: float = 0.25
    dropout: float = 0.0
    stochastic_depth: float = 0.0
    remat: bool = False
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, images: Array, *, train: bool = False) -> Array:
        """Maps images [B, H, W, C] to logits, float [B, num_classes]."""
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        convolve: Callable[..., nn.Module] = functools.partial(
            conv, kernel_init=he_normal, **dtypes
        )
        # Flax's momentum is the weight of the old average: 0.9 is PyTorch's 0.1.
        norm: Callable[..., nn.Module] = functools.partial(
            nn.BatchNorm,
            use_running_average=not train,
            momentum=0.9,
            epsilon=1e-5,
            **dtypes,
        )
        width = self.width_multiplier
        options: Any = {"strides": 2, "padding": 1, "use_bias": False}
        x = convolve(divisible(32 * width), (3, 3), **options, name="conv0")(images)
        x = nn.silu(norm(name="norm0")(x))
        block = nn.remat(InvertedResidual) if self.remat else InvertedResidual
        depths = [math.ceil(s.num_blocks * self.depth_multiplier) for s in self.stages]
        for i, stage in enumerate(self.stages, start=1):
            # Blocks without expansion lack a convolution, and the conversion of weights
            # tells them apart by this name.
            kind = "inverted" if stage.expansion > 1 else "separable"
            for j in range(depths[i - 1]):
                index = sum(depths[: i - 1]) + j
                x = block(
                    expansion=stage.expansion,
                    kernel=stage.kernel,
                    stride=stage.stride if j == 0 else 1,
                    features=divisible(stage.features * width),
                    # A fraction of the block's input, not of its expanded channels.
                    squeeze=max(1, int(x.shape[-1] * self.squeeze)),
                    activation=nn.silu,
                    stochastic_depth=self.stochastic_depth * index / sum(depths),
                    train=train,
                    conv=convolve,
                    norm=norm,
                    name=f"{kind}{i}_{j}",
                )(x)
            self.sow("intermediates", f"stage{i}", x)
        i = len(self.stages) + 1
        x = convolve(4 * x.shape[-1], (1, 1), use_bias=False, name=f"conv{i}")(x)
        x = average(nn.silu(norm(name=f"norm{i}")(x)))
        if self.num_classes is None:
            return x
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        head = nn.Dense(self.num_classes, kernel_init=_head_init, name="head", **dtypes)
        return head(x)

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Example inputs: one image of the published size; other sizes are accepted."""
        return (jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32),)

    def checkpoints(self) -> Mapping[str, Rules]:
        """Conversion rules of pretrained weights, by the name of their format."""
        return {"torchvision": formats.TORCHVISION}


def efficientnet_b0(**options: Any) -> EfficientNet:
    """EfficientNet-B0, with dropout and stochastic depth 0.2; 5,288,548 parameters.

    Args:
      **options: Other attributes of `EfficientNet`.
    """
    return EfficientNet(_STAGES, **{"dropout": 0.2, "stochastic_depth": 0.2, **options})
