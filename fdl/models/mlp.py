"""Feedforward networks."""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Initializer
from jax.typing import DTypeLike

from fdl.types import Array


class MLP(nn.Module):
    """Layers of units, each connected to all of the layer before.

    A hidden layer multiplies, normalises, activates, adds what it was given and drops
    out, as far as it is asked to. Intermediates: ``hidden_0``, ``hidden_1`` and so on,
    the outputs of the hidden layers.

    Attributes:
      hidden_sizes: Units of each hidden layer; none makes a linear model.
      num_outputs: Size of the readout; none where None, and the last hidden layer
        comes out.
      activation: Applied in each hidden layer.
      dropout: Fraction of the hidden units that the next layer does not get to see.
      norm: Makes what normalises each hidden layer in front of its activation, say
        `flax.linen.BatchNorm` or `fdl.models.layers.layer_norm`.
      residual: Whether what a hidden layer is given is added to its output, where both
        are equally wide.
      kernel_init: Initialises the kernels.
      bias_init: Initialises the biases.
      head_init: Initialises the readout's kernel and bias, where it differs.
      input_shape: What `example` has, without the batch.
      dtype: What is computed in; that of inputs and parameters where None.
      param_dtype: What parameters are stored in.

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
        x = inputs.reshape(inputs.shape[0], -1)
        for i, size in enumerate(self.hidden_sizes):
            y = nn.Dense(size, name=f"dense_{i}", **inits, **dtypes)(x)
            if self.norm is not None:
                y = normalise(self.norm(name=f"norm_{i}", **dtypes), y, train)
            y = self.activation(y)
            x = x + y if self.residual and x.shape == y.shape else y
            self.sow("intermediates", f"hidden_{i}", x)
            x = nn.Dropout(self.dropout, deterministic=not train, name=f"dropout_{i}")(
                x
            )
        if self.num_outputs is None:
            return x
        if self.head_init is not None:
            inits = dict(zip(inits, self.head_init, strict=True))
        return nn.Dense(self.num_outputs, name="head", **inits, **dtypes)(x)

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """One example of `input_shape`; others are taken too."""
        return (jax.ShapeDtypeStruct((1, *self.input_shape), jnp.float32),)


def linear(num_outputs: int, **options: Any) -> MLP:
    """A linear model: linear, logistic or softmax regression, as the loss will have it.

    Args:
      num_outputs: Size of the readout.
      **options: All others of `MLP`.

    Example:
      >>> linear(10).hidden_sizes
      ()
    """
    return MLP(hidden_sizes=(), num_outputs=num_outputs, **options)


def normalise(norm: nn.Module, x: Array, train: bool) -> Array:
    """Calls a normalisation; batch norm has to be told whether it is training."""
    if isinstance(norm, nn.BatchNorm):
        return norm(x, use_running_average=not train)
    return norm(x)
