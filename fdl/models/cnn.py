"""Plain convolutional networks: convolutions, pooling and dense layers."""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Initializer
from jax.typing import DTypeLike

from fdl.models.layers import conv, max_pool
from fdl.models.mlp import MLP, normalise
from fdl.types import Array


class CNN(nn.Module):
    """Convolutional network: convolutions with max-pooling, then a perceptron.

    Intermediates: ``conv_0``, ``conv_1`` and so on, the pooled feature maps, and
    ``hidden_0``, ``hidden_1`` and so on, the outputs of the hidden layers.

    Attributes:
      features: Number of channels of each convolution.
      hidden_sizes: Number of units of each hidden dense layer.
      num_outputs: Size of the output layer; None omits it and returns the last hidden
        layer.
      kernel_size: Height and width of the kernels.
      padding: "SAME", "VALID" or a number of pixels, for each convolution; "SAME" for
        all if None.
      activation: Activation after each convolution and hidden layer.
      dropout: Dropout rate of the hidden layers.
      pooled_dropout: Dropout rate of the flattened feature maps.
      norm: Constructor of the normalisation before each activation, as in `MLP`.
      kernel_init: Initialiser of the kernels.
      bias_init: Initialiser of the biases.
      head_init: Initialisers of the kernel and bias of the output layer; `kernel_init`
        and `bias_init` if None.
      input_shape: Shape of an image [H, W, C], for `example`; it determines the size of
        the first dense layer.
      dtype: Dtype of the computation; inferred from inputs and parameters if None.
      param_dtype: Dtype of the parameters.
    """

    features: Sequence[int]
    hidden_sizes: Sequence[int]
    num_outputs: int | None
    kernel_size: int = 3
    padding: Sequence[str | int] | None = None
    activation: Callable[[Array], Array] = nn.relu
    dropout: float = 0.0
    pooled_dropout: float = 0.0
    norm: Callable[..., nn.Module] | None = None
    kernel_init: Initializer = nn.initializers.lecun_normal()
    bias_init: Initializer = nn.initializers.zeros
    head_init: tuple[Initializer, Initializer] | None = None
    input_shape: Sequence[int] = (28, 28, 1)
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, images: Array, *, train: bool = False) -> Array:
        """Maps images [B, H, W, C] to outputs, float [B, num_outputs]."""
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        inits: Any = {"kernel_init": self.kernel_init, "bias_init": self.bias_init}
        x, kernel_size = images, (self.kernel_size, self.kernel_size)
        paddings = self.padding or ("SAME",) * len(self.features)
        for i, (size, padding) in enumerate(zip(self.features, paddings, strict=True)):
            name = f"convolution_{i}"
            layer = conv(
                size, kernel_size, padding=padding, name=name, **inits, **dtypes
            )
            x = layer(x)
            if self.norm is not None:
                norm = self.norm(name=f"convolution_norm_{i}", **dtypes)
                x = normalise(norm, x, train=train)
            x = max_pool(self.activation(x), 2)
            self.sow("intermediates", f"conv_{i}", x)
        x = jax.lax.collapse(x, 1)
        x = nn.Dropout(self.pooled_dropout, deterministic=not train)(x)
        mlp = MLP(
            self.hidden_sizes,
            self.num_outputs,
            self.activation,
            self.dropout,
            norm=self.norm,
            head_init=self.head_init,
            **inits,
            **dtypes,
        )
        # Parameters are named `dense_0` and `head`, without a level `mlp` above them.
        nn.share_scope(self, mlp)
        return mlp(x, train=train)

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Example inputs: one image of `input_shape`."""
        return (jax.ShapeDtypeStruct((1, *self.input_shape), jnp.float32),)
