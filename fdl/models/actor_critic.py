"""A policy and the value of what it does, in one network."""

from collections.abc import Callable, Sequence

import flax.linen as nn

from fdl.types import Array


class Torso(nn.Module):
    """Dense layers, each followed by an activation.

    Attributes:
      hidden_sizes: Size of each layer.
      activation: What follows a layer.
    """

    hidden_sizes: Sequence[int]
    activation: Callable[[Array], Array]

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps x [B, D] to features [B, hidden_sizes[-1]]."""
        for size in self.hidden_sizes:
            x = nn.Dense(size, kernel_init=nn.initializers.orthogonal(2**0.5))(x)
            x = self.activation(x)
        return x


class ActorCritic(nn.Module):
    """A multilayer perceptron for the policy and one for the values.

    Weights are orthogonal to begin with, and those of the policy's readout small, so
    that it starts near uniform.

    Attributes:
      action_size: Size of the policy's readout.
      hidden_sizes: Size of each hidden layer.
      shared: Whether one set of hidden layers serves both readouts.
      activation: What follows a hidden layer.

    References:
      Engstrom et al., `Implementation Matters in Deep Policy Gradients
      <https://arxiv.org/abs/2005.12729>`_, 2020.
    """

    action_size: int
    hidden_sizes: Sequence[int] = (64, 64)
    shared: bool = False
    activation: Callable[[Array], Array] = nn.tanh

    @nn.compact
    def __call__(
        self, observation: Array, *, train: bool = False
    ) -> tuple[Array, Array]:
        """Maps observations [B, ...] to ([B, action_size], values [B])."""
        del train  # It does the same in training.
        x = observation.reshape(observation.shape[0], -1)
        actor = Torso(self.hidden_sizes, self.activation, name="actor")
        seen = actor(x)
        if self.shared:
            judged = seen
        else:
            judged = Torso(self.hidden_sizes, self.activation, name="critic")(x)
        small, one = nn.initializers.orthogonal(0.01), nn.initializers.orthogonal(1.0)
        params = nn.Dense(self.action_size, kernel_init=small, name="policy")(seen)
        values = nn.Dense(1, kernel_init=one, name="value")(judged)
        return params, values.squeeze(-1)
