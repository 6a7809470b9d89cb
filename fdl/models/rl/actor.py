"""A policy alone, and critics of its actions: what learns continuous control."""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Initializer
from jax.typing import DTypeLike

from fdl.models.mlp import MLP
from fdl.models.rl.encoders import ObservationEncoder, encode, uniform
from fdl.models.rl.policy_heads import DeterministicHead, Head, SquashedGaussianHead
from fdl.types import Array


class Actor(nn.Module):
    """A policy: hidden layers, and what its head reads out of them.

    Attributes:
      action_size: How many actions there are, or numbers in a continuous one.
      hidden_sizes: Size of each hidden layer.
      head: Reads the parameters of the distribution of actions out, or actions:
        `SquashedGaussianHead`, `DeterministicHead` or another one, made as
        ``head(action_size, name=...)``.
      encoder: Makes what comes before the hidden layers; without one they see all
        numbers of an observation.
      activation: What follows a hidden layer.
      kernel_init: Makes the first kernels of the hidden layers; by default like Torch.
      input_shape: Shape of an observation.
      dtype: What is computed in; that of inputs and parameters where None.
      param_dtype: What parameters are stored in.
    """

    action_size: int
    hidden_sizes: Sequence[int] = (256, 256)
    head: Head = SquashedGaussianHead
    encoder: ObservationEncoder | None = None
    activation: Callable[[Array], Array] = nn.relu
    kernel_init: Initializer = uniform
    input_shape: Sequence[int] = (17,)
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, observation: Array, *, train: bool = False) -> Any:
        """Maps observations [B, ...] to what the head reads out."""
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        x = encode(self.encoder, observation, "encoder", train, **dtypes)
        x = MLP(
            hidden_sizes=self.hidden_sizes,
            num_outputs=None,
            activation=self.activation,
            kernel_init=self.kernel_init,
            name="actor",
            **dtypes,
        )(x)
        return self.head(self.action_size, name="policy", **dtypes)(x)

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """One observation of `input_shape`; others are taken too."""
        return (jax.ShapeDtypeStruct((1, *self.input_shape), jnp.float32),)


class Critic(nn.Module):
    """Several opinions of how much an action is worth, each of a network of its own.

    The smallest of two is what SAC and TD3 trust, as one alone flatters. A encoder, if
    there is one, serves all.

    Attributes:
      hidden_sizes: Size of each hidden layer.
      num_critics: How many opinions.
      encoder: Makes what observations pass through before the hidden layers; these see
        all numbers of an observation without one.
      activation: What follows a hidden layer.
      kernel_init: Makes the first kernels; by default like Torch.
      input_shape: Shape of an observation.
      action_size: Numbers that an action has.
      dtype: What is computed in; that of inputs and parameters where None.
      param_dtype: What parameters are stored in.

    References:
      Fujimoto, van Hoof and Meger, `Addressing Function Approximation Error in
      Actor-Critic Methods <https://arxiv.org/abs/1802.09477>`_, 2018.
    """

    hidden_sizes: Sequence[int] = (256, 256)
    num_critics: int = 2
    encoder: ObservationEncoder | None = None
    activation: Callable[[Array], Array] = nn.relu
    kernel_init: Initializer = uniform
    input_shape: Sequence[int] = (17,)
    action_size: int = 6
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(
        self, observation: Array, action: Array, *, train: bool = False
    ) -> Array:
        """Maps observations [B, ...] and actions [B, A] to values [B, num_critics]."""
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        seen = encode(self.encoder, observation, "encoder", train, **dtypes)
        x = jnp.concatenate([seen, action.reshape(action.shape[0], -1)], axis=-1)
        critics = [
            MLP(
                hidden_sizes=self.hidden_sizes,
                num_outputs=1,
                activation=self.activation,
                kernel_init=self.kernel_init,
                name=f"critic_{i}",
                **dtypes,
            )
            for i in range(self.num_critics)
        ]
        return jnp.concatenate([critic(x) for critic in critics], axis=-1)

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """One observation of `input_shape` and one action; others are taken too."""
        shapes = (1, *self.input_shape), (1, self.action_size)
        return tuple(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes)


def sac_actor(**options: Any) -> Actor:
    """The policy of SAC, here for HalfCheetah; 73,484 parameters.

    Args:
      **options: All others of `Actor`.

    References:
      Haarnoja et al., `Soft Actor-Critic Algorithms and Applications
      <https://arxiv.org/abs/1812.05905>`_, 2018.
    """
    return Actor(**{"action_size": 6, **options})


def td3_actor(**options: Any) -> Actor:
    """The policy of TD3, here for HalfCheetah; 71,942 parameters.

    Args:
      **options: All others of `Actor`.

    References:
      Fujimoto, van Hoof and Meger, `Addressing Function Approximation Error in
      Actor-Critic Methods <https://arxiv.org/abs/1802.09477>`_, 2018.
    """
    return Actor(**{"action_size": 6, "head": DeterministicHead, **options})


def twin_critic(**options: Any) -> Critic:
    """The two critics of SAC and TD3, here for HalfCheetah; 144,386 parameters.

    Args:
      **options: All others of `Critic`.

    References:
      Fujimoto, van Hoof and Meger, `Addressing Function Approximation Error in
      Actor-Critic Methods <https://arxiv.org/abs/1802.09477>`_, 2018.
    """
    return Critic(**options)
