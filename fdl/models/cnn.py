"""Convolutional networks of the classic form: convolve, pool, and connect fully."""

from collections.abc import Callable, Sequence

import flax.linen as nn

from fdl.models.layers import conv, max_pool
from fdl.types import Array


class CNN(nn.Module):
    """Convolutions with max-pooling after each, then hidden layers and a readout.

    Attributes:
      features: Channels of each convolution.
      hidden_sizes: Units of each hidden layer between the convolutions and the readout.
      num_outputs: Size of the readout.
      kernel_size: Height and width of all kernels.
      padding: "SAME", "VALID" or a number of pixels, for each convolution.
      activation: Applied after each convolution and hidden layer.
      dropout: Fraction of the hidden units that the next layer does not get to see.
      dtype: What is computed in; the parameters stay float32.
    """

    features: Sequence[int]
    hidden_sizes: Sequence[int]
    num_outputs: int
    kernel_size: int = 3
    padding: Sequence[str | int] | None = None
    activation: Callable[[Array], Array] = nn.relu
    dropout: float = 0.0
    dtype: str = "float32"

    @nn.compact
    def __call__(self, images: Array, *, train: bool = False) -> Array:
        """Maps images [B, H, W, C] to outputs, float [B, num_outputs]."""
        x, kernel_size = images, (self.kernel_size, self.kernel_size)
        paddings = self.padding or ("SAME",) * len(self.features)
        for features, padding in zip(self.features, paddings, strict=True):
            x = conv(features, kernel_size, padding=padding, dtype=self.dtype)(x)
            x = max_pool(self.activation(x), 2)
        x = x.reshape(x.shape[0], -1)
        for size in self.hidden_sizes:
            x = self.activation(nn.Dense(size, dtype=self.dtype)(x))
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return nn.Dense(self.num_outputs, dtype=self.dtype)(x)


def lenet5(num_outputs: int = 10) -> CNN:
    """LeNet-5 for images [B, 28, 28, 1]; 61,706 parameters for ten outputs.

    As it is taught today: ReLU and max-pooling, and every map of the second
    convolution sees all of the first.

    References:
      LeCun et al., `Gradient-Based Learning Applied to Document Recognition
      <https://doi.org/10.1109/5.726791>`_, 1998.
    """
    return CNN(
        features=(6, 16),
        hidden_sizes=(120, 84),
        num_outputs=num_outputs,
        kernel_size=5,
        padding=(2, "VALID"),
    )
