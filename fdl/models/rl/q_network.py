"""Q-networks: plain, dueling and distributional."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Initializer
from jax.typing import DTypeLike

from fdl.models.layers.noisy_dense import NoisyDense
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
    """Q-network: a multilayer perceptron with one value for each action.

    A dueling network estimates the state value V and the advantage A of each action in
    separate streams: Q(a) = V + A(a) - mean A. A distributional network has several
    outputs for each action: logits of a categorical distribution over fixed returns
    (C51), or the returns at fixed quantiles (QR-DQN). Rainbow combines both.

    Attributes:
      action_size: Number of actions.
      hidden_sizes: Units of each hidden layer; each stream of a dueling network has
        layers of these sizes.
      dueling: Whether to estimate state value and advantages in separate streams.
      num_atoms: Atoms or quantiles of each action; if None, one value and no axis for
        it.
      norm: Constructor of the normalisation before each activation, such as
        `flax.linen.LayerNorm`, also of the encoder; none if None.
      noisy: Whether the dense layers are `NoisyDense`; they are without noise unless
        they are called with a random key.
      encoder: Factory of a feature extractor in front of the hidden layers, for example
        `nature_encoder`; if None, observations are flattened.
      activation: Activation after each hidden layer.
      kernel_init: Initialiser of the kernels, by default that of PyTorch. Biases start
        at zero.
      input_shape: Shape of an observation.
      dtype: Computation dtype; that of inputs and parameters if None.
      param_dtype: Dtype of the parameters.

    References:
      Wang et al., `Dueling Network Architectures for Deep Reinforcement Learning
      <https://arxiv.org/abs/1511.06581>`_, 2015.

      Bellemare, Dabney and Munos, `A Distributional Perspective on Reinforcement
      Learning <https://arxiv.org/abs/1707.06887>`_, 2017.

      Dabney et al., `Distributional Reinforcement Learning with Quantile Regression
      <https://arxiv.org/abs/1710.10044>`_, 2017.

      Fortunato et al., `Noisy Networks for Exploration
      <https://arxiv.org/abs/1706.10295>`_, 2017.

      Gallici et al., `Simplifying Deep Temporal Difference Learning
      <https://arxiv.org/abs/2407.04811>`_, 2024.
    """

    action_size: int
    hidden_sizes: Sequence[int] = (64, 64)
    dueling: bool = False
    num_atoms: int | None = None
    norm: Callable[..., nn.Module] | None = None
    noisy: bool = False
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
        # The name of its parameters stays `torso`, as in what is saved already.
        encoder = self.encoder
        if encoder is not None and self.norm is not None:
            encoder = functools.partial(encoder, norm=self.norm)
        x = encode(encoder, observation, "torso", train=train, **dtypes)
        num_atoms = self.num_atoms or 1

        def stream(name, num):
            values = MLP(
                hidden_sizes=self.hidden_sizes,
                num_outputs=num * num_atoms,
                activation=self.activation,
                norm=self.norm,
                dense=NoisyDense if self.noisy else nn.Dense,
                kernel_init=self.kernel_init,
                name=name,
                **dtypes,
            )(x, train=train)
            return values.reshape(x.shape[0], num, num_atoms)

        if self.dueling:
            value = stream("value", 1)
            advantage = stream("advantage", self.action_size)
            # V and A are only determined up to a constant that moves between them;
            # advantages of mean zero make them identifiable (Wang et al., eq. 9).
            values = value + advantage - advantage.mean(axis=1, keepdims=True)
        else:
            values = stream("mlp", self.action_size)
        return values if self.num_atoms else values.squeeze(-1)

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Shape of one observation, `input_shape`; other shapes are accepted."""
        return (jax.ShapeDtypeStruct((1, *self.input_shape), jnp.float32),)


def cartpole_dqn(**options: Any) -> QNetwork:
    """Q-network for CartPole, 4-64-64-2; 4,610 parameters.

    Args:
      **options: Other attributes of `QNetwork`.

    References:
      Mnih et al., `Human-level Control through Deep Reinforcement Learning
      <https://doi.org/10.1038/nature14236>`_, 2015.
    """
    return QNetwork(**{"action_size": 2, **options})


def nature_dqn(**options: Any) -> QNetwork:
    """Nature DQN with the full set of 18 Atari actions; 1,693,362 parameters.

    Observations are four stacked frames, [B, 84, 84, 4]: uint8 is divided by 255,
    floats are used as they are. With ``action_size=6`` there are 1,687,206 parameters;
    ``dueling=True`` gives the network of Wang et al.

    Args:
      **options: Other attributes of `QNetwork`.

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
    """C51: Nature DQN with 51 atoms for each of 18 actions; 2,155,062 parameters.

    Args:
      **options: Other attributes of `QNetwork`.

    References:
      Bellemare, Dabney and Munos, `A Distributional Perspective on Reinforcement
      Learning <https://arxiv.org/abs/1707.06887>`_, 2017.
    """
    return nature_dqn(**{"num_atoms": 51, **options})


def qr_dqn(**options: Any) -> QNetwork:
    """QR-DQN: Nature DQN with 200 quantiles, 18 actions; 3,530,928 parameters.

    Args:
      **options: Other attributes of `QNetwork`.

    References:
      Dabney et al., `Distributional Reinforcement Learning with Quantile Regression
      <https://arxiv.org/abs/1710.10044>`_, 2017.
    """
    return nature_dqn(**{"num_atoms": 200, **options})


def dueling_dqn(**options: Any) -> QNetwork:
    """Dueling DQN for Atari with 18 actions; 3,300,019 parameters.

    The convolutions of the Nature DQN, followed by two streams of 512 units.

    Args:
      **options: Other attributes of `QNetwork`.

    References:
      Wang et al., `Dueling Network Architectures for Deep Reinforcement Learning
      <https://arxiv.org/abs/1511.06581>`_, 2015.
    """
    return nature_dqn(**{"dueling": True, **options})


def minatar_dqn(**options: Any) -> QNetwork:
    """MinAtar DQN for six actions and four channels; 132,566 parameters.

    Args:
      **options: Other attributes of `QNetwork`.

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
