"""Recurrent actor-critic networks."""

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
    """Recurrent actor-critic: an MLP, a shared recurrent core, policy and value heads.

    The carry of the core is passed from one call to the next, from `zero_carry` on.
    Actors call the module with one step, learners with a whole rollout; the core is
    reset at the beginning of each episode.

    Attributes:
      action_size: Number of discrete actions, or size of a continuous one.
      hidden_sizes: Units of each hidden layer in front of the core.
      core_size: Units of the core.
      cell: Type of the core: "elman", "gru" or "lstm".
      forget_bias: Initial bias of the LSTM's forget gate.
      head: Factory of the policy head, which returns the parameters of the action
        distribution: ``head(action_size, name=...)``.
      encoder: Factory of a feature extractor in front of the hidden layers; if None,
        observations are flattened.
      activation: Activation after each hidden layer.
      kernel_init: Initialiser of the kernels of the hidden layers.
      input_shape: Shape of an observation.
      dtype: Computation dtype; that of inputs and parameters if None.
      param_dtype: Dtype of the parameters.

    References:
      Hausknecht and Stone, `Deep Recurrent Q-Learning for Partially Observable MDPs
      <https://arxiv.org/abs/1507.06527>`_, 2015.

      Mnih et al., `Asynchronous Methods for Deep Reinforcement Learning
      <https://arxiv.org/abs/1602.01783>`_, 2016.

    Example:
      >>> agent = RecurrentActorCritic(2)
      >>> inputs = jnp.ones((3, 10, 4))
      >>> variables = jax.jit(agent.init)(jax.random.key(0), inputs)
      >>> apply = jax.jit(agent.apply)
      >>> (logits, values), carry = apply(variables, inputs[:, :5])
      >>> (logits, values), carry = apply(variables, inputs[:, 5:], carry)
      >>> logits.shape, values.shape
      ((3, 5, 2), (3, 5))
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
        """Maps observations to policy parameters and values along T steps.

        Args:
          observation: [B, T, ...].
          carry: Carry of the core before the first step; zeros by default.
          resets: bool [B, T], True where an episode begins.
          train: Whether to run in training mode.

        Returns:
          Parameters of the action distribution, [B, T, ...], and values, float [B, T];
          and the carry of the core after the last step.
        """
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        batch, time = observation.shape[:2]
        # The encoder and the hidden layers take a single batch axis, without time.
        flat = observation.reshape(batch * time, *observation.shape[2:])
        x = encode(self.encoder, flat, "encoder", train=train, **dtypes)
        x = MLP(
            hidden_sizes=self.hidden_sizes,
            num_outputs=None,
            activation=self.activation,
            kernel_init=self.kernel_init,
            name="mlp",
            **dtypes,
        )(x)
        core = self._core(name="core")
        x, carry = core(x.reshape(batch, time, x.shape[-1]), carry, resets)
        params = self.head(self.action_size, name="policy", **dtypes)(x)
        value_init = orthogonal(1.0)  # Gain 1, where hidden layers have √2.
        values = nn.Dense(1, kernel_init=value_init, name="value", **dtypes)(x)
        return (params, values.squeeze(-1)), carry

    @nn.nowrap
    def zero_carry(self, batch_size: int) -> PyTree:
        """Zero carry of the core, for the first step."""
        # Without a parent: only its shapes are needed, and it must not be registered
        # as a submodule where this is called within another module.
        return self._core(parent=None).zero_carry(batch_size)

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Shape of one step of one observation, `input_shape`."""
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
    """LSTM actor-critic for Atari with 18 actions; 2,008,627 parameters.

    The convolutions of the Nature DQN, its hidden layer of 512 units, and an LSTM of
    128 units. Observations are single frames, uint8 [B, T, 84, 84, 1].

    Args:
      **options: Other attributes of `RecurrentActorCritic`.
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
