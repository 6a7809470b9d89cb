"""Actor-critic networks of PPO and A2C: a policy and a state-value function."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Initializer
from jax.typing import DTypeLike

from fdl.models.layers.orthogonal import orthogonal
from fdl.models.mlp import MLP
from fdl.models.rl.encoders import ObservationEncoder, encode, nature_encoder
from fdl.models.rl.policy_heads import CategoricalHead, GaussianHead, Head
from fdl.types import Array

# The gain √2 of the hidden layers is that of OpenAI Baselines (Engstrom et al., 2020).
_orthogonal = orthogonal(2**0.5)


class ActorCritic(nn.Module):
    """Actor-critic network: perceptrons for the policy and for the state values.

    Kernels are initialised orthogonally, that of the policy's output with a small gain,
    so that the policy starts near uniform.

    Attributes:
      action_size: Number of discrete actions, or dimensions of a continuous one.
      hidden_sizes: Number of units of each hidden layer.
      head: Constructor of the policy's output layer, which returns the parameters of
        the distribution of actions: `CategoricalHead`, `GaussianHead` or another one,
        called as ``head(action_size, name=...)``.
      shared: Whether policy and values share the encoder and the hidden layers.
      encoder: Constructor of a feature extractor in front of the hidden layers, such as
        `nature_encoder`; if None, observations are flattened.
      activation: Activation after each hidden layer.
      kernel_init: Initialiser of the kernels of the hidden layers.
      input_shape: Shape of an observation, for `example`.
      dtype: Dtype of the computation; inferred from inputs and parameters if None.
      param_dtype: Dtype of the parameters.

    References:
      Engstrom et al., `Implementation Matters in Deep Policy Gradients
      <https://arxiv.org/abs/2005.12729>`_, 2020.
    """

    action_size: int
    hidden_sizes: Sequence[int] = (64, 64)
    head: Head = CategoricalHead
    shared: bool = False
    encoder: ObservationEncoder | None = None
    activation: Callable[[Array], Array] = nn.tanh
    kernel_init: Initializer = _orthogonal
    input_shape: Sequence[int] = (4,)
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, observation: Array, *, train: bool = False) -> tuple[Any, Array]:
        """Maps observations [B, ...] to the outputs of the head, and values [B]."""
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}

        def hidden_layers(name):
            x = encode(
                self.encoder, observation, f"{name}_torso", train=train, **dtypes
            )
            return MLP(
                hidden_sizes=self.hidden_sizes,
                num_outputs=None,
                activation=self.activation,
                kernel_init=self.kernel_init,
                name=name,
                **dtypes,
            )(x)

        actor = hidden_layers("actor")
        critic = actor if self.shared else hidden_layers("critic")
        params = self.head(self.action_size, name="policy", **dtypes)(actor)
        # Values are a regression onto returns: their output keeps a gain of 1, and only
        # that of the policy (in the head) is small.
        value_init = orthogonal(1.0)
        values = nn.Dense(1, kernel_init=value_init, name="value", **dtypes)(critic)
        return params, values.squeeze(-1)

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Example inputs: one observation of `input_shape`."""
        return (jax.ShapeDtypeStruct((1, *self.input_shape), jnp.float32),)


def cartpole_ppo(**options: Any) -> ActorCritic:
    """PPO actor-critic of CartPole: two perceptrons 64-64 with tanh; 9,155 parameters.

    Args:
      **options: Other attributes of `ActorCritic`.

    References:
      Schulman et al., `Proximal Policy Optimization Algorithms
      <https://arxiv.org/abs/1707.06347>`_, 2017.
    """
    return ActorCritic(**{"action_size": 2, **options})


def mujoco_ppo(**options: Any) -> ActorCritic:
    """PPO actor-critic of MuJoCo, with the sizes of HalfCheetah; 11,085 parameters.

    Args:
      **options: Other attributes of `ActorCritic`.

    References:
      Schulman et al., `Proximal Policy Optimization Algorithms
      <https://arxiv.org/abs/1707.06347>`_, 2017, section 6.1.
    """
    sizes: Any = {"action_size": 6, "input_shape": (17,)}
    return ActorCritic(**{**sizes, "head": GaussianHead, **options})


def atari_ppo(**options: Any) -> ActorCritic:
    """PPO actor-critic of Atari, for 18 actions; 1,693,875 parameters.

    Policy and values share the convolutions of the Nature DQN and its hidden layer.

    Args:
      **options: Other attributes of `ActorCritic`.

    References:
      Schulman et al., `Proximal Policy Optimization Algorithms
      <https://arxiv.org/abs/1707.06347>`_, 2017, section 6.4.
    """
    published: Any = {
        "action_size": 18,
        "hidden_sizes": (512,),
        "shared": True,
        "encoder": functools.partial(nature_encoder, kernel_init=_orthogonal),
        "activation": nn.relu,
        "input_shape": (84, 84, 4),
    }
    return ActorCritic(**{**published, **options})
