"""Autoencoders."""

from collections.abc import Callable, Sequence

import flax.linen as nn

from fdl.models.mlp import MLP
from fdl.types import Array


class Autoencoder(nn.Module):
    """Squeezes its inputs through a few numbers, the code, and restores them.

    Attributes:
      hidden_sizes: Units of the encoder's hidden layers; the decoder mirrors them.
      code_size: Numbers that the code has.
      activation: Applied after each hidden layer; the code itself is linear.

    References:
      Hinton and Salakhutdinov, `Reducing the Dimensionality of Data with Neural
      Networks <https://doi.org/10.1126/science.1127647>`_, 2006.
    """

    hidden_sizes: Sequence[int]
    code_size: int
    activation: Callable[[Array], Array] = nn.relu

    @nn.compact
    def __call__(self, inputs: Array, *, train: bool = False) -> Array:
        """Maps inputs [B, ...] to their restorations, float of the same shape."""
        size = inputs[0].size
        mirrored = tuple(reversed(self.hidden_sizes))
        encoder = MLP(self.hidden_sizes, self.code_size, self.activation)
        decoder = MLP(mirrored, size, self.activation)
        code = encoder(inputs, train=train)
        return decoder(code, train=train).reshape(inputs.shape)
