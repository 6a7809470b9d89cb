"""SimCLR: contrastive learning with a backbone and a projection head."""

from typing import Any

import flax.linen as nn
import jax
from jax.typing import DTypeLike

from fdl.models.vision.resnet import resnet50
from fdl.types import Array


class ProjectionHead(nn.Module):
    """Projection head of SimCLR: an MLP between features and contrastive loss.

    Attributes:
      num_layers: Number of dense layers: two in the first paper, three in the second.
      hidden_size: Units of all layers but the last; those of the features if None.
      projection_size: Size of a projection.
      batch_norm: Whether batch normalisation takes the place of each layer's bias.
      dtype: Computation dtype; that of inputs and parameters if None.
      param_dtype: Dtype of the parameters.
    """

    num_layers: int = 2
    hidden_size: int | None = None
    projection_size: int = 128
    batch_norm: bool = False
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, features: Array, *, train: bool = False) -> Array:
        """Maps features [B, D] to projections, float [B, projection_size]."""
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        x = features
        for i in range(self.num_layers):
            last = i == self.num_layers - 1
            size = self.hidden_size or features.shape[-1]
            size = self.projection_size if last else size
            bias = not self.batch_norm  # The normalisation shifts by itself.
            x = nn.Dense(size, use_bias=bias, name=f"dense_{i}", **dtypes)(x)
            if self.batch_norm:
                x = nn.BatchNorm(
                    use_running_average=not train,
                    momentum=0.9,
                    epsilon=1e-5,
                    name=f"bn_{i}",
                    **dtypes,
                )(x)
            x = x if last else nn.relu(x)
        return x


class SimCLR(nn.Module):
    """SimCLR network: a backbone and a projection head.

    The contrastive loss makes projections of two views of one image similar, and those
    of different images dissimilar. After training, the features of the backbone are
    used and the head is discarded. Intermediates: ``features``.

    Attributes:
      backbone: Module that maps images to features [B, D]; models of the zoo do so with
        ``num_classes=None``.
      num_layers: Layers of the head: two in the first paper, three in the second.
      hidden_size: Units of all layers of the head but the last; those of the features
        if None.
      projection_size: Size of a projection.
      batch_norm: Whether batch normalisation takes the place of the head's biases.
      dtype: Computation dtype of the head; that of its inputs and parameters if None.
      param_dtype: Dtype of the parameters of the head.

    References:
      Chen et al., `A Simple Framework for Contrastive Learning of Visual
      Representations <https://arxiv.org/abs/2002.05709>`_, 2020.

      Chen et al., `Big Self-Supervised Models are Strong Semi-Supervised Learners
      <https://arxiv.org/abs/2006.10029>`_, 2020.

    Example:
      >>> from fdl import models
      >>> module = SimCLR(models.resnet18(num_classes=None, small_images=True))
      >>> shapes = jax.eval_shape(models.functional(module).init, jax.random.key(0))
      >>> shapes["params"]["head"]["dense_0"]["kernel"].shape
      (512, 512)
    """

    backbone: nn.Module
    num_layers: int = 2
    hidden_size: int | None = None
    projection_size: int = 128
    batch_norm: bool = False
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, images: Array, *, train: bool = False) -> Array:
        """Maps images [B, H, W, C] to projections, float [B, projection_size]."""
        features = self.backbone(images, train=train)
        self.sow("intermediates", "features", features)
        head = ProjectionHead(
            self.num_layers,
            self.hidden_size,
            self.projection_size,
            self.batch_norm,
            self.dtype,
            self.param_dtype,
            name="head",
        )
        return head(features, train=train)

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Shapes of the inputs of the backbone."""
        return self.backbone.example()


def simclr_resnet50(**options: Any) -> SimCLR:
    """SimCLR on a ResNet-50 of 23,508,032 parameters; 27,966,656 in all.

    With ``batch_norm=True``, as in the authors' code, 27,968,832; in their code the
    last normalisation has no shift.

    Args:
      **options: Other attributes of `SimCLR`; dtypes apply to the backbone as well.

    References:
      Chen et al., `A Simple Framework for Contrastive Learning of Visual
      Representations <https://arxiv.org/abs/2002.05709>`_, 2020.
    """
    dtypes = {key: options[key] for key in ("dtype", "param_dtype") if key in options}
    return SimCLR(resnet50(num_classes=None, **dtypes), **options)
