"""A policy and the value of what it does, in one network."""

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

_orthogonal = orthogonal(2**0.5)


class ActorCritic(nn.Module):
    """A multilayer perceptron for the policy and one for the values.

    Weights are orthogonal to begin with, and those of the policy's readout small, so
    that it starts near uniform.

    Attributes:
      action_size: How many actions there are, or numbers in a continuous one.
      hidden_sizes: Size of each hidden layer.
      head: Reads the parameters of the policy's distribution out: `CategoricalHead`,
        `GaussianHead` or another one, made as ``head(action_size, name=...)``.
      shared: Whether what comes before the two readouts serves both.
      encoder: Makes what comes before the hidden layers, say `nature_encoder`; without
        one they see all numbers of an observation.
      activation: What follows a hidden layer.
      kernel_init: Makes the first kernels of the hidden layers.
      input_shape: Shape of an observation.
      dtype: What is computed in; that of inputs and parameters where None.
      param_dtype: What parameters are stored in.

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
        """Maps observations [B, ...] to what the head reads out, and values [B]."""
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}

        def see(name):
            x = encode(self.encoder, observation, f"{name}_torso", train, **dtypes)
            return MLP(
                hidden_sizes=self.hidden_sizes,
                num_outputs=None,
                activation=self.activation,
                kernel_init=self.kernel_init,
                name=name,
                **dtypes,
            )(x)

        seen = see("actor")
        judged = seen if self.shared else see("critic")
        params = self.head(self.action_size, name="policy", **dtypes)(seen)
        one = orthogonal(1.0)
        values = nn.Dense(1, kernel_init=one, name="value", **dtypes)(judged)
        return params, values.squeeze(-1)

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """One observation of `input_shape`; others are taken too."""
        return (jax.ShapeDtypeStruct((1, *self.input_shape), jnp.float32),)


def cartpole_ppo(**options: Any) -> ActorCritic:
    """The actor-critic of CartPole, tanh 64-64 twice; 9,155 parameters.

    Args:
      **options: All others of `ActorCritic`.
    """
    return ActorCritic(**{"action_size": 2, **options})


def mujoco_ppo(**options: Any) -> ActorCritic:
    """The actor-critic of continuous control, here for HalfCheetah; 11,085 parameters.

    Args:
      **options: All others of `ActorCritic`.

    References:
      Schulman et al., `Proximal Policy Optimization Algorithms
      <https://arxiv.org/abs/1707.06347>`_, 2017, section 6.1.
    """
    sizes: Any = {"action_size": 6, "input_shape": (17,)}
    return ActorCritic(**{**sizes, "head": GaussianHead, **options})


def atari_ppo(**options: Any) -> ActorCritic:
    """The actor-critic of Atari, for 18 actions; 1,693,875 parameters.

    The convolutions of the Nature DQN and its hidden layer serve both readouts.

    Args:
      **options: All others of `ActorCritic`.

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
