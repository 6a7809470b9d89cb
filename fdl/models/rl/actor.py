"""Actor and critic networks of SAC, TD3 and DDPG."""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Initializer
from jax.typing import DTypeLike

from fdl.errors import UserError
from fdl.models.mlp import MLP
from fdl.models.rl.encoders import ObservationEncoder, encode, uniform
from fdl.models.rl.policy_heads import DeterministicHead, Head, SquashedGaussianHead
from fdl.types import Array


class Actor(nn.Module):
    """Policy network: a multilayer perceptron with a head for the actions.

    Attributes:
      action_size: Number of discrete actions, or dimensions of a continuous one.
      hidden_sizes: Number of units of each hidden layer.
      head: Constructor of the output layer, which returns the parameters of the
        distribution of actions or an action: `SquashedGaussianHead`,
        `DeterministicHead` or another one, called as ``head(action_size, name=...)``.
      encoder: Constructor of an encoder in front of the hidden layers, called as
        ``encoder(name=...)``; if None, observations are flattened.
      activation: Activation after each hidden layer.
      kernel_init: Initialiser of the hidden kernels; U(±1/√fan_in) as in PyTorch by
        default.
      input_shape: Shape of an observation, for `example`.
      dtype: Dtype of the computation; inferred from inputs and parameters if None.
      param_dtype: Dtype of the parameters.
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
        """Maps observations [B, ...] to the outputs of the head."""
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        x = encode(self.encoder, observation, "encoder", train=train, **dtypes)
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
        """Example inputs: one observation of `input_shape`."""
        return (jax.ShapeDtypeStruct((1, *self.input_shape), jnp.float32),)


class Critic(nn.Module):
    """Ensemble of action-value functions Q(s, a), each an independent perceptron.

    SAC and TD3 take the minimum of two (clipped double Q-learning), which counters the
    overestimation of a single one. A encoder, if there is one, is shared by all.
    Discrete actions are no input: the values of all of them are the outputs.

    Attributes:
      hidden_sizes: Number of units of each hidden layer.
      num_critics: Number of action-value functions.
      encoder: Constructor of a feature extractor for observations, called as
        ``encoder(name=...)``; if None, observations are flattened.
      activation: Activation after each hidden layer.
      kernel_init: Initialiser of the kernels; U(±1/√fan_in) as in PyTorch by default.
      discrete: Whether actions are discrete.
      input_shape: Shape of an observation, for `example`.
      action_size: Number of discrete actions, or dimensions of a continuous one, for
        `example`.
      dtype: Dtype of the computation; inferred from inputs and parameters if None.
      param_dtype: Dtype of the parameters.

    References:
      Fujimoto, van Hoof and Meger, `Addressing Function Approximation Error in
      Actor-Critic Methods <https://arxiv.org/abs/1802.09477>`_, 2018.
    """

    hidden_sizes: Sequence[int] = (256, 256)
    num_critics: int = 2
    encoder: ObservationEncoder | None = None
    activation: Callable[[Array], Array] = nn.relu
    kernel_init: Initializer = uniform
    discrete: bool = False
    input_shape: Sequence[int] = (17,)
    action_size: int = 6
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(
        self, observation: Array, action: Array | None = None, *, train: bool = False
    ) -> Array:
        """Maps observations [B, ...] and actions [B, A] to values [B, num_critics].

        Of discrete actions, maps observations to values [B, action_size, num_critics].
        """
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        x = encode(self.encoder, observation, "encoder", train=train, **dtypes)
        if (action is None) != self.discrete:
            expected = "observations alone" if self.discrete else "actions as well"
            raise UserError(f"Critic.discrete={self.discrete}: expected {expected}")
        if action is not None:
            x = jnp.concatenate([x, jax.lax.collapse(action, 1)], axis=-1)
        # Separate networks, and not one with several outputs: the minimum of estimates
        # counters overestimation only as far as their errors are independent.
        critics = [
            MLP(
                hidden_sizes=self.hidden_sizes,
                num_outputs=self.action_size if self.discrete else 1,
                activation=self.activation,
                kernel_init=self.kernel_init,
                name=f"critic_{i}",
                **dtypes,
            )
            for i in range(self.num_critics)
        ]
        values = [critic(x) for critic in critics]
        return jnp.stack(values, -1) if self.discrete else jnp.concatenate(values, -1)

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Example inputs: one observation of `input_shape` and one action."""
        shapes = (1, *self.input_shape), (1, self.action_size)
        inputs = tuple(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes)
        return inputs[:1] if self.discrete else inputs


def sac_actor(**options: Any) -> Actor:
    """Gaussian policy of SAC, with the sizes of HalfCheetah; 73,484 parameters.

    Args:
      **options: Other attributes of `Actor`.

    References:
      Haarnoja et al., `Soft Actor-Critic Algorithms and Applications
      <https://arxiv.org/abs/1812.05905>`_, 2018.
    """
    return Actor(**{"action_size": 6, **options})


def td3_actor(**options: Any) -> Actor:
    """Deterministic policy of TD3, with the sizes of HalfCheetah; 71,942 parameters.

    Args:
      **options: Other attributes of `Actor`.

    References:
      Fujimoto, van Hoof and Meger, `Addressing Function Approximation Error in
      Actor-Critic Methods <https://arxiv.org/abs/1802.09477>`_, 2018.
    """
    return Actor(**{"action_size": 6, "head": DeterministicHead, **options})


def twin_critic(**options: Any) -> Critic:
    """Twin critics of SAC and TD3, with the sizes of HalfCheetah; 144,386 parameters.

    Args:
      **options: Other attributes of `Critic`.

    References:
      Fujimoto, van Hoof and Meger, `Addressing Function Approximation Error in
      Actor-Critic Methods <https://arxiv.org/abs/1802.09477>`_, 2018.
    """
    return Critic(**options)
