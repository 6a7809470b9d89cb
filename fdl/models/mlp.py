"""Feedforward networks."""

from collections.abc import Callable, Sequence

import flax.linen as nn

from fdl.types import Array


class MLP(nn.Module):
    """Layers of units, each connected to all of the layer before.

    Attributes:
      hidden_sizes: Units of each hidden layer; none makes a linear model.
      num_outputs: Size of the readout.
      activation: Applied after each hidden layer.
      dropout: Fraction of the hidden units that the next layer does not get to see.
      dtype: What is computed in; the parameters stay float32.

    References:
      Goodfellow, Bengio and Courville, `Deep Learning, chapter 6
      <https://www.deeplearningbook.org/contents/mlp.html>`_, 2016.
    """

    hidden_sizes: Sequence[int]
    num_outputs: int
    activation: Callable[[Array], Array] = nn.relu
    dropout: float = 0.0
    dtype: str = "float32"

    @nn.compact
    def __call__(self, inputs: Array, *, train: bool = False) -> Array:
        """Maps inputs [B, ...] to outputs, float [B, num_outputs]."""
        x = inputs.reshape(inputs.shape[0], -1)
        for size in self.hidden_sizes:
            x = self.activation(nn.Dense(size, dtype=self.dtype)(x))
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return nn.Dense(self.num_outputs, dtype=self.dtype)(x)


def linear(num_outputs: int) -> MLP:
    """A linear model: linear, logistic or softmax regression, as the loss will have it.

    Example:
      >>> linear(10).hidden_sizes
      ()
    """
    return MLP(hidden_sizes=(), num_outputs=num_outputs)
