"""Recurrent networks: stacked Elman, GRU and LSTM layers, optionally bidirectional."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Initializer
from jax.typing import DTypeLike

from fdl.models.layers.orthogonal import orthogonal
from fdl.models.layers.recurrent_core import RecurrentCore as RecurrentCore
from fdl.models.layers.recurrent_core import zero_carry
from fdl.types import Array, PyTree


class RNN(nn.Module):
    """Stacked recurrent layers, unidirectional or bidirectional.

    A bidirectional layer returns the concatenated outputs of both directions, and its
    carry is a pair. Submodules are ``layer_0``, ``layer_0_reverse``, ``layer_1`` and so
    on. Intermediates: ``layer_0/states``, ..., the outputs of each layer.

    Attributes:
      hidden_size: Units of each layer and direction.
      num_layers: Number of layers.
      cell: Type of recurrent cell: "elman", "gru" or "lstm".
      bidirectional: Whether to add layers that run from the last step to the first.
      dropout: Dropout rate between layers.
      forget_bias: Initial bias of the LSTM's forget gates.
      kernel_init: Initialiser of the input-to-hidden kernels.
      recurrent_init: Initialiser of the hidden-to-hidden kernels.
      remat: Whether to rematerialise each layer in the backward pass.
      input_shape: Shape of an example without its batch axis, (steps, features), for
        `example` only.
      dtype: Dtype of matrix products; that of inputs and parameters if None.
      param_dtype: Dtype of the parameters.

    References:
      Schuster and Paliwal, `Bidirectional Recurrent Neural Networks
      <https://doi.org/10.1109/78.650093>`_, 1997; and those of `RecurrentCore`.

    Example:
      >>> module = RNN(8, num_layers=2)
      >>> x = jnp.ones((3, 10, 4))
      >>> variables = jax.jit(module.init)(jax.random.key(0), x)
      >>> apply = jax.jit(module.apply, static_argnames="return_carry")
      >>> first, carry = apply(variables, x[:, :5], return_carry=True)
      >>> second = apply(variables, x[:, 5:], initial_carry=carry)
      >>> full = apply(variables, x)
      >>> bool(jnp.allclose(full, jnp.concatenate([first, second], 1), atol=1e-6))
      True
    """

    hidden_size: int
    num_layers: int = 1
    cell: str = "lstm"
    bidirectional: bool = False
    dropout: float = 0.0
    forget_bias: float = 1.0
    kernel_init: Initializer = nn.initializers.lecun_normal()
    recurrent_init: Initializer = orthogonal()
    remat: bool = False
    input_shape: Sequence[int] = (28, 28)
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(
        self,
        inputs: Array,
        *,
        mask: Array | None = None,
        initial_carry: PyTree | None = None,
        resets: Array | None = None,
        return_carry: bool = False,
        train: bool = False,
    ) -> Any:
        """Runs all layers over a sequence.

        Args:
          inputs: float [B, T, D].
          mask: bool [B, T], True at tokens; padding follows them. At padding the
            state is unchanged, and outputs are zero.
          initial_carry: Carry of the layers before the first step; zeros by default.
          resets: bool [B, T], True where an episode begins and the state is set to
            zero before the step. For unidirectional layers only.
          return_carry: Whether to return the carry after the last token as well.
          train: Whether to run in training mode.

        Returns:
          Outputs of the last layer, float [B, T, hidden_size], or [B, T,
          2 hidden_size] if bidirectional; or a pair of these and the carries, a tuple
          with one entry for each layer.
        """
        make: Callable[..., nn.Module] = functools.partial(
            nn.remat(RecurrentCore) if self.remat else RecurrentCore,
            self.hidden_size,
            self.cell,
            forget_bias=self.forget_bias,
            kernel_init=self.kernel_init,
            recurrent_init=self.recurrent_init,
            dtype=self.dtype,
            param_dtype=self.param_dtype,
        )
        if initial_carry is None:
            initial_carry = self.zero_carry(inputs.shape[0])
        x, carries = inputs, []
        for i, carry in enumerate(initial_carry):
            if i > 0:
                # Between layers only: neither inputs nor the last outputs are dropped.
                x = nn.Dropout(self.dropout, deterministic=not train)(x)
            layer = make(name=f"layer_{i}")
            if not self.bidirectional:
                x, carry = layer(x, carry, resets, mask)
            else:
                backward = make(reverse=True, name=f"layer_{i}_reverse")
                x, carry = _bidirectional(layer, backward, x, carry, resets, mask)
            carries.append(carry)
        return (x, tuple(carries)) if return_carry else x

    @nn.nowrap
    def zero_carry(self, batch_size: int) -> PyTree:
        """Zero carry of all layers, for the first step."""
        num_cells = self.num_layers * (1 + self.bidirectional)
        carries = tuple(zero_carry(self, batch_size) for _ in range(num_cells))
        if not self.bidirectional:
            return carries
        # Pairs of forward and backward carries, one for each layer.
        return tuple(zip(carries[::2], carries[1::2], strict=True))

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Shape of one sequence, as given by `input_shape`."""
        return (jax.ShapeDtypeStruct((1, *self.input_shape), jnp.float32),)


def elman(hidden_size: int = 128, **options: Any) -> RNN:
    """Elman network of one layer; 20,096 parameters with 28 features.

    Args:
      hidden_size: Units.
      **options: Other attributes of `RNN`.

    References:
      Elman, `Finding Structure in Time
      <https://doi.org/10.1207/s15516709cog1402_1>`_, 1990.
    """
    return RNN(hidden_size, cell="elman", **options)


def gru(hidden_size: int = 128, **options: Any) -> RNN:
    """Gated recurrent unit (GRU) of one layer; 60,416 parameters with 28 features.

    Args:
      hidden_size: Units.
      **options: Other attributes of `RNN`.

    References:
      Cho et al., `Learning Phrase Representations using RNN Encoder-Decoder for
      Statistical Machine Translation <https://arxiv.org/abs/1406.1078>`_, 2014.
    """
    return RNN(hidden_size, cell="gru", **options)


def lstm(hidden_size: int = 128, **options: Any) -> RNN:
    """Long short-term memory (LSTM), one layer; 80,384 parameters with 28 features.

    Args:
      hidden_size: Units.
      **options: Other attributes of `RNN`.

    References:
      Hochreiter and Schmidhuber, `Long Short-Term Memory
      <https://doi.org/10.1162/neco.1997.9.8.1735>`_, 1997.
    """
    return RNN(hidden_size, cell="lstm", **options)


def _bidirectional(forward, backward, x, carries, *flags):
    """Runs a layer in each direction and concatenates the outputs."""
    forward_states, forward_carry = forward(x, carries[0], *flags)
    backward_states, backward_carry = backward(x, carries[1], *flags)
    states = jnp.concatenate([forward_states, backward_states], axis=-1)
    return states, (forward_carry, backward_carry)
