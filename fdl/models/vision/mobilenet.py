"""MobileNetV2."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from fdl.models.layers import average, conv
from fdl.models.layers.inverted_residual import InvertedResidual, Stage, divisible
from fdl.models.pretrained import Rules
from fdl.models.pretrained import mobilenet as formats
from fdl.models.vision.resnet import he_normal
from fdl.types import Array

_STAGES = (
    Stage(1, 3, 1, 16, 1),
    Stage(6, 3, 2, 24, 2),
    Stage(6, 3, 2, 32, 3),
    Stage(6, 3, 2, 64, 4),
    Stage(6, 3, 1, 96, 3),
    Stage(6, 3, 2, 160, 3),
    Stage(6, 3, 1, 320, 1),
)


class MobileNetV2(nn.Module):
    """MobileNetV2: inverted residuals with linear bottlenecks.

    Intermediates: ``stage1``, ``stage2`` and so on, the outputs of the stages.

    Attributes:
      stages: Configuration of the blocks of each stage, before scaling.
      num_classes: Number of classes; None omits the classification layer and returns
        the pooled features.
      width_multiplier: Factor of the numbers of channels, rounded to a multiple of 8;
        that of the last convolution is at least 1.
      dropout: Dropout rate in front of the classification layer.
      remat: Whether to recompute the activations of each block in the backward pass.
      dtype: Dtype of the computation; inferred from inputs and parameters if None.
      param_dtype: Dtype of the parameters.

    References:
      Sandler et al., `MobileNetV2: Inverted Residuals and Linear Bottlenecks
      <https://arxiv.org/abs/1801.04381>`_, 2018.
    """

    stages: Sequence[Stage]
    num_classes: int | None = 1000
    width_multiplier: float = 1.0
    dropout: float = 0.0
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
        x = nn.relu6(norm(name="norm0")(x))
        block = nn.remat(InvertedResidual) if self.remat else InvertedResidual
        # Blocks are numbered over all stages, as in torchvision.
        index = 0
        for i, stage in enumerate(self.stages, start=1):
            # Blocks without expansion lack a convolution, and the conversion of weights
            # tells them apart by this name.
            kind = "inverted" if stage.expansion > 1 else "separable"
            for j in range(stage.num_blocks):
                index += 1
                x = block(
                    expansion=stage.expansion,
                    kernel=stage.kernel,
                    stride=stage.stride if j == 0 else 1,
                    features=divisible(stage.features * width),
                    squeeze=0,
                    activation=nn.relu6,
                    stochastic_depth=0.0,
                    train=train,
                    conv=convolve,
                    norm=norm,
                    name=f"{kind}{index}",
                )(x)
            self.sow("intermediates", f"stage{i}", x)
        index += 1
        # As in the paper, narrow networks keep all 1280 features for their accuracy.
        num_features = divisible(1280 * max(1.0, width))
        x = convolve(num_features, (1, 1), use_bias=False, name=f"conv{index}")(x)
        x = average(nn.relu6(norm(name=f"norm{index}")(x)))
        if self.num_classes is None:
            return x
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        init = nn.initializers.normal(0.01)
        return nn.Dense(self.num_classes, kernel_init=init, name="head", **dtypes)(x)

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Example inputs: one image of the published size; other sizes are accepted."""
        return (jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32),)

    def checkpoints(self) -> Mapping[str, Rules]:
        """Conversion rules of pretrained weights, by the name of their format."""
        return {"torchvision": formats.TORCHVISION}


def mobilenet_v2(**options: Any) -> MobileNetV2:
    """MobileNetV2 of width 1.0, with dropout 0.2; 3,504,872 parameters.

    Args:
      **options: Other attributes of `MobileNetV2`.
    """
    return MobileNetV2(_STAGES, **{"dropout": 0.2, **options})
