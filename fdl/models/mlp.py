"""Multilayer perceptrons and linear models."""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Initializer
from jax.typing import DTypeLike

from fdl.types import Array


class MLP(nn.Module):
    """Multilayer perceptron.

    A hidden layer is a dense layer, then normalisation, activation, residual connection
    and dropout, as far as they are asked for. Intermediates: ``hidden_0``, ``hidden_1``
    and so on, the outputs of the hidden layers before dropout.

    Attributes:
      hidden_sizes: Number of units of each hidden layer; a linear model if empty.
      num_outputs: Size of the output layer; None omits it and returns the last hidden
        layer.
      activation: Activation of each hidden layer.
      dropout: Dropout rate of the hidden layers.
      norm: Constructor of the normalisation before each activation, such as
        `flax.linen.BatchNorm` or `fdl.models.layers.layer_norm`.
      dense: Constructor of the dense layers, such as `fdl.models.NoisyDense`.
      residual: Whether to add the input of a hidden layer to its output, if both have
        the same size.
      kernel_init: Initialiser of the kernels.
      bias_init: Initialiser of the biases.
      head_init: Initialisers of the kernel and bias of the output layer; `kernel_init`
        and `bias_init` if None.
      input_shape: Shape of an input without the batch axis, for `example`.
      dtype: Dtype of the computation; inferred from inputs and parameters if None.
      param_dtype: Dtype of the parameters.

    References:
      Goodfellow, Bengio and Courville, `Deep Learning, chapter 6
      <https://www.deeplearningbook.org/contents/mlp.html>`_, 2016.

    Example:
      >>> from fdl import models
      >>> deep = MLP((64,) * 20, 10, norm=nn.BatchNorm, residual=True)
      >>> shapes = jax.eval_shape(models.functional(deep).init, jax.random.key(0))
      >>> list(shapes["params"])[-3:], shapes["params"]["head"]["kernel"].shape
      (['norm_7', 'norm_8', 'norm_9'], (64, 10))
    """

    hidden_sizes: Sequence[int]
    num_outputs: int | None
    activation: Callable[[Array], Array] = nn.relu
    dropout: float = 0.0
    norm: Callable[..., nn.Module] | None = None
    dense: Callable[..., nn.Module] = nn.Dense
    residual: bool = False
    kernel_init: Initializer = nn.initializers.lecun_normal()
    bias_init: Initializer = nn.initializers.zeros
    head_init: tuple[Initializer, Initializer] | None = None
    input_shape: Sequence[int] = (28, 28, 1)
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, inputs: Array, *, train: bool = False) -> Array:
        """Maps inputs [B, ...] to outputs, float [B, num_outputs]."""
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        inits: Any = {"kernel_init": self.kernel_init, "bias_init": self.bias_init}
        x = jax.lax.collapse(inputs, 1)
        for i, size in enumerate(self.hidden_sizes):
            y = self.dense(size, name=f"dense_{i}", **inits, **dtypes)(x)
            if self.norm is not None:
                y = normalise(self.norm(name=f"norm_{i}", **dtypes), y, train=train)
            y = self.activation(y)
            x = x + y if self.residual and x.shape == y.shape else y
            self.sow("intermediates", f"hidden_{i}", x)
            dropout = nn.Dropout(
                self.dropout, deterministic=not train, name=f"dropout_{i}"
            )
            x = dropout(x)
        if self.num_outputs is None:
            return x
        if self.head_init is not None:
            # The keys are in the order of `head_init`: kernel, then bias.
            inits = dict(zip(inits, self.head_init, strict=True))
        return self.dense(self.num_outputs, name="head", **inits, **dtypes)(x)

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Example inputs: one input of `input_shape`."""
        return (jax.ShapeDtypeStruct((1, *self.input_shape), jnp.float32),)


def linear(num_outputs: int, **options: Any) -> MLP:
    """Linear model: linear, logistic or softmax regression, depending on the loss.

    Args:
      num_outputs: Size of the output.
      **options: Other attributes of `MLP`.

    Example:
      >>> linear(10).hidden_sizes
      ()
    """
    return MLP(hidden_sizes=(), num_outputs=num_outputs, **options)


def normalise(norm: nn.Module, x: Array, *, train: bool) -> Array:
    """Applies a normalisation layer; only batch norm distinguishes training."""
    if isinstance(norm, nn.BatchNorm):
        return norm(x, use_running_average=not train)
    return norm(x)
