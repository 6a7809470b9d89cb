"""A policy and its values that remember what they saw."""

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
from fdl.models.rl.policy_heads import CategoricalHead, Head
from fdl.models.rnn import RecurrentCore
from fdl.types import Array, PyTree

_orthogonal = orthogonal(2**0.5)


class RecurrentActorCritic(nn.Module):
    """Hidden layers, a recurrent core that both readouts share, and these.

    What is to be remembered from one call to the next is what the core carries:
    `zero_carry` before the first one. Actors call it with one step, learners with as
    many as were seen; where an episode began, the core forgets.

    Attributes:
      action_size: How many actions there are, or numbers in a continuous one.
      hidden_sizes: Size of each hidden layer in front of the core.
      core_size: Units of the core.
      cell: Its kind: "elman", "gru" or "lstm".
      forget_bias: What the bias of the LSTM's forget gate begins as.
      head: Reads the parameters of the policy's distribution out, made as
        ``head(action_size, name=...)``.
      encoder: Makes what comes before the hidden layers; without one they see all
        numbers of an observation.
      activation: What follows a hidden layer.
      kernel_init: Makes the first kernels of the hidden layers.
      input_shape: Shape of an observation.
      dtype: What is computed in; that of inputs and parameters where None.
      param_dtype: What parameters are stored in.

    References:
      Hausknecht and Stone, `Deep Recurrent Q-Learning for Partially Observable MDPs
      <https://arxiv.org/abs/1507.06527>`_, 2015.

      Mnih et al., `Asynchronous Methods for Deep Reinforcement Learning
      <https://arxiv.org/abs/1602.01783>`_, 2016.

    Example:
      >>> agent = RecurrentActorCritic(2)
      >>> seen = jnp.ones((3, 10, 4))
      >>> variables = agent.init(jax.random.key(0), seen)
      >>> (logits, values), carry = agent.apply(variables, seen[:, :6])
      >>> (logits, values), carry = agent.apply(variables, seen[:, 6:], carry)
      >>> logits.shape, values.shape
      ((3, 4, 2), (3, 4))
    """

    action_size: int
    hidden_sizes: Sequence[int] = (64,)
    core_size: int = 64
    cell: str = "lstm"
    forget_bias: float = 1.0
    head: Head = CategoricalHead
    encoder: ObservationEncoder | None = None
    activation: Callable[[Array], Array] = nn.tanh
    kernel_init: Initializer = _orthogonal
    input_shape: Sequence[int] = (4,)
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(
        self,
        observation: Array,
        carry: PyTree | None = None,
        resets: Array | None = None,
        *,
        train: bool = False,
    ) -> tuple[tuple[Any, Array], PyTree]:
        """Acts and judges along T steps of B episodes.

        Args:
          observation: [B, T, ...].
          carry: What the core carries at the first step; zeros by default.
          resets: bool [B, T], true where an episode begins.
          train: Whether it is training.

        Returns:
          What the head reads out, [B, T, ...], and values, float [B, T]; and what the
          core carries after the last step.
        """
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        batch, time = observation.shape[:2]
        flat = observation.reshape(batch * time, *observation.shape[2:])
        x = encode(self.encoder, flat, "encoder", train, **dtypes)
        x = MLP(
            hidden_sizes=self.hidden_sizes,
            num_outputs=None,
            activation=self.activation,
            kernel_init=self.kernel_init,
            name="mlp",
            **dtypes,
        )(x)
        core = self._core(name="core")
        x, carry = core(x.reshape(batch, time, -1), carry, resets)
        params = self.head(self.action_size, name="policy", **dtypes)(x)
        one = orthogonal(1.0)
        values = nn.Dense(1, kernel_init=one, name="value", **dtypes)(x)
        return (params, values.squeeze(-1)), carry

    @nn.nowrap
    def zero_carry(self, batch_size: int) -> PyTree:
        """What the core carries before the first step: zeros."""
        return self._core(parent=None).zero_carry(batch_size)

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """One step of an observation of `input_shape`; others are taken too."""
        return (jax.ShapeDtypeStruct((1, 1, *self.input_shape), jnp.float32),)

    @nn.nowrap
    def _core(self, **options):
        return RecurrentCore(
            self.core_size,
            self.cell,
            forget_bias=self.forget_bias,
            kernel_init=orthogonal(),
            dtype=self.dtype,
            param_dtype=self.param_dtype,
            **options,
        )


def atari_lstm_ppo(**options: Any) -> RecurrentActorCritic:
    """A recurrent actor-critic of Atari, for 18 actions; 2,008,627 parameters.

    It sees one frame at a time, bytes [B, T, 84, 84, 1]: the convolutions of the Nature
    DQN, its hidden layer of 512 units, and an LSTM of 128.

    Args:
      **options: All others of `RecurrentActorCritic`.
    """
    published: Any = {
        "action_size": 18,
        "hidden_sizes": (512,),
        "core_size": 128,
        "encoder": functools.partial(nature_encoder, kernel_init=_orthogonal),
        "activation": nn.relu,
        "input_shape": (84, 84, 1),
    }
    return RecurrentActorCritic(**{**published, **options})
