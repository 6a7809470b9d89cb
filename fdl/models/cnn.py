"""Convolutional networks of the classic form: convolve, pool, and connect fully."""

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
    """Convolutions with max-pooling after each, then hidden layers and a readout.

    Intermediates: ``conv_0``, ``conv_1`` and so on, the pooled maps, and ``hidden_0``,
    ``hidden_1`` and so on, the outputs of the hidden layers.

    Attributes:
      features: Channels of each convolution.
      hidden_sizes: Units of each hidden layer between the convolutions and the readout.
      num_outputs: Size of the readout; none where None, and the last hidden layer
        comes out.
      kernel_size: Height and width of all kernels.
      padding: "SAME", "VALID" or a number of pixels, for each convolution; "SAME" for
        all where None.
      activation: Applied after each convolution and hidden layer.
      dropout: Fraction of the hidden units that the next layer does not get to see.
      pooled_dropout: Fraction of the last pooled maps that the next layer does not get
        to see.
      norm: Makes what normalises in front of each activation, as in `MLP`.
      kernel_init: Initialises the kernels.
      bias_init: Initialises the biases.
      head_init: Initialises the readout's kernel and bias, where it differs.
      input_shape: What `example` has, without the batch; how large images are decides
        how many parameters the first dense layer has.
      dtype: What is computed in; that of inputs and parameters where None.
      param_dtype: What parameters are stored in.
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
            x = conv(size, kernel_size, padding=padding, name=name, **inits, **dtypes)(
                x
            )
            if self.norm is not None:
                norm = self.norm(name=f"convolution_norm_{i}", **dtypes)
                x = normalise(norm, x, train)
            x = max_pool(self.activation(x), 2)
            self.sow("intermediates", f"conv_{i}", x)
        x = x.reshape(x.shape[0], -1)
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
        # Its layers are ours: `dense_0` and `head`, and not `mlp/dense_0`.
        nn.share_scope(self, mlp)
        return mlp(x, train=train)

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """One image of `input_shape`."""
        return (jax.ShapeDtypeStruct((1, *self.input_shape), jnp.float32),)
