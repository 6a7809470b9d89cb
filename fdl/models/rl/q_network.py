"""Networks that say what each action is worth: plain, dueling and distributional."""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Initializer
from jax.typing import DTypeLike

from fdl.models.mlp import MLP
from fdl.models.rl.encoders import (
    ObservationEncoder,
    encode,
    minatar_encoder,
    nature_encoder,
    uniform,
)
from fdl.types import Array


class QNetwork(nn.Module):
    """Hidden layers, and the value of each action read out of them.

    A dueling network estimates the value V of the situation and the advantage A of each
    action in streams of their own: Q(a) = V + A(a) - mean A. A distributional one has
    several numbers for each action: logits of a distribution over fixed returns (C51),
    or returns of fixed quantiles (QR-DQN). Both together are Rainbow's.

    Attributes:
      action_size: How many actions there are.
      hidden_sizes: Size of each hidden layer; a dueling network has them twice.
      dueling: Whether situations and actions are judged apart.
      num_atoms: Numbers for each action; one, and no axis for it, where None.
      encoder: Makes what comes before the hidden layers, say `nature_encoder`; without
        one they see all numbers of an observation.
      activation: What follows a hidden layer.
      kernel_init: Makes the first kernels; by default like Torch. Biases start at zero.
      input_shape: Shape of an observation.
      dtype: What is computed in; that of inputs and parameters where None.
      param_dtype: What parameters are stored in.

    References:
      Wang et al., `Dueling Network Architectures for Deep Reinforcement Learning
      <https://arxiv.org/abs/1511.06581>`_, 2015.

      Bellemare, Dabney and Munos, `A Distributional Perspective on Reinforcement
      Learning <https://arxiv.org/abs/1707.06887>`_, 2017.

      Dabney et al., `Distributional Reinforcement Learning with Quantile Regression
      <https://arxiv.org/abs/1710.10044>`_, 2017.
    """

    action_size: int
    hidden_sizes: Sequence[int] = (64, 64)
    dueling: bool = False
    num_atoms: int | None = None
    encoder: ObservationEncoder | None = None
    activation: Callable[[Array], Array] = nn.relu
    kernel_init: Initializer = uniform
    input_shape: Sequence[int] = (4,)
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, observation: Array, *, train: bool = False) -> Array:
        """Maps observations [B, ...] to values [B, action_size(, num_atoms)]."""
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        x = encode(self.encoder, observation, "encoder", train, **dtypes)
        num_atoms = self.num_atoms or 1

        def judge(name, num):
            values = MLP(
                hidden_sizes=self.hidden_sizes,
                num_outputs=num * num_atoms,
                activation=self.activation,
                kernel_init=self.kernel_init,
                name=name,
                **dtypes,
            )(x)
            return values.reshape(-1, num, num_atoms)

        if self.dueling:
            value = judge("value", 1)
            advantage = judge("advantage", self.action_size)
            values = value + advantage - advantage.mean(axis=1, keepdims=True)
        else:
            values = judge("mlp", self.action_size)
        return values if self.num_atoms else values.squeeze(-1)

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """One observation of `input_shape`; others are taken too."""
        return (jax.ShapeDtypeStruct((1, *self.input_shape), jnp.float32),)


def cartpole_dqn(**options: Any) -> QNetwork:
    """The Q-network of CartPole, 4-64-64-2; 4,610 parameters.

    Args:
      **options: All others of `QNetwork`.
    """
    return QNetwork(**{"action_size": 2, **options})


def nature_dqn(**options: Any) -> QNetwork:
    """The Nature DQN for 18 actions, those of all games; 1,693,362 parameters.

    Bytes [B, 84, 84, 4] are divided by 255, floats are taken as they are. With
    ``action_size=6``, 1,687,206 parameters; with ``dueling=True``, Wang et al.'s.

    Args:
      **options: All others of `QNetwork`.

    References:
      Mnih et al., `Human-level Control through Deep Reinforcement Learning
      <https://doi.org/10.1038/nature14236>`_, 2015.
    """
    published: Any = {
        "action_size": 18,
        "hidden_sizes": (512,),
        "encoder": nature_encoder,
        "input_shape": (84, 84, 4),
    }
    return QNetwork(**{**published, **options})


def c51(**options: Any) -> QNetwork:
    """The Nature DQN with 51 atoms for each of 18 actions; 2,155,062 parameters.

    Args:
      **options: All others of `QNetwork`.

    References:
      Bellemare, Dabney and Munos, `A Distributional Perspective on Reinforcement
      Learning <https://arxiv.org/abs/1707.06887>`_, 2017.
    """
    return nature_dqn(**{"num_atoms": 51, **options})


def qr_dqn(**options: Any) -> QNetwork:
    """The Nature DQN with 200 quantiles for each of 18 actions; 3,530,928 parameters.

    Args:
      **options: All others of `QNetwork`.

    References:
      Dabney et al., `Distributional Reinforcement Learning with Quantile Regression
      <https://arxiv.org/abs/1710.10044>`_, 2017.
    """
    return nature_dqn(**{"num_atoms": 200, **options})


def dueling_dqn(**options: Any) -> QNetwork:
    """The dueling network of Atari, for 18 actions; 3,300,019 parameters.

    The convolutions of the Nature DQN, and then two streams of 512 units.

    Args:
      **options: All others of `QNetwork`.

    References:
      Wang et al., `Dueling Network Architectures for Deep Reinforcement Learning
      <https://arxiv.org/abs/1511.06581>`_, 2015.
    """
    return nature_dqn(**{"dueling": True, **options})


def minatar_dqn(**options: Any) -> QNetwork:
    """MinAtar's DQN for six actions and four channels; 132,566 parameters.

    Args:
      **options: All others of `QNetwork`.

    References:
      Young and Tian, `MinAtar: An Atari-Inspired Testbed for Thorough and Reproducible
      Reinforcement Learning Experiments <https://arxiv.org/abs/1903.03176>`_, 2019.
    """
    published: Any = {
        "action_size": 6,
        "hidden_sizes": (128,),
        "encoder": minatar_encoder,
        "input_shape": (10, 10, 4),
    }
    return QNetwork(**{**published, **options})
