"""Recurrent layers: Elman's, the GRU and the LSTM; stacked, in one direction or two."""

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
    """Recurrent layers one on another, in one direction or in two.

    With two directions, each layer hands on the outputs of both, side by side, and
    what it carries is a pair. Parameters are those of ``layer_0``, ``layer_0_reverse``,
    ``layer_1`` and so on. Intermediates: ``layer_0/states``, ..., the outputs of each.

    Attributes:
      hidden_size: Units of each layer and direction.
      num_layers: Layers.
      cell: "elman", "gru" or "lstm".
      bidirectional: Whether a second row of layers reads from the last token to the
        first.
      dropout: Fraction of a layer's outputs that the next layer does not get to see.
      forget_bias: What the bias of the LSTM's forget gates begins as.
      kernel_init: Initialiser of the input's kernels.
      recurrent_init: Of the state's.
      remat: Whether what a layer computes is computed again in the backward pass.
      input_shape: Of an example, without its batch: steps and features. Others are
        taken too.
      dtype: What products are computed in; that of inputs and parameters where None.
      param_dtype: What parameters are stored in.

    References:
      Schuster and Paliwal, `Bidirectional Recurrent Neural Networks
      <https://doi.org/10.1109/78.650093>`_, 1997; and those of `RecurrentCore`.

    Example:
      >>> module = RNN(8, num_layers=2)
      >>> x = jnp.ones((3, 10, 4))
      >>> variables = module.init(jax.random.key(0), x)
      >>> first, carry = module.apply(variables, x[:, :5], return_carry=True)
      >>> second = module.apply(variables, x[:, 5:], initial_carry=carry)
      >>> whole = module.apply(variables, x)
      >>> bool(jnp.allclose(whole, jnp.concatenate([first, second], 1), atol=1e-6))
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
        """Runs over time.

        Args:
          inputs: float [B, T, D].
          mask: bool [B, T], true where a token is; padding comes after the tokens. It
            changes no state, and the outputs there are zero.
          initial_carry: What the layers carry at the first step; zeros by default.
          resets: bool [B, T], true where an episode begins: what was before is
            forgotten. In one direction only.
          return_carry: Whether what the layers carry after the last token comes out.
          train: Whether it is training.

        Returns:
          Outputs of the last layer, float [B, T, hidden_size or twice as many]; or a
          pair of these and of the carry of each layer.
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
        for i, before in enumerate(initial_carry):
            if i > 0:
                x = nn.Dropout(self.dropout, deterministic=not train)(x)
            layer = make(name=f"layer_{i}")
            if not self.bidirectional:
                x, after = layer(x, before, resets, mask)
            else:
                back = make(reverse=True, name=f"layer_{i}_reverse")
                x, after = _both(layer, back, x, before, resets, mask)
            carries.append(after)
        return (x, tuple(carries)) if return_carry else x

    @nn.nowrap
    def zero_carry(self, batch_size: int) -> PyTree:
        """What the layers carry before the first step: zeros."""
        num_cells = self.num_layers * (1 + self.bidirectional)
        carries = tuple(zero_carry(self, batch_size) for _ in range(num_cells))
        if not self.bidirectional:
            return carries
        return tuple(zip(carries[::2], carries[1::2], strict=True))

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """One sequence of the shape that `input_shape` says."""
        return (jax.ShapeDtypeStruct((1, *self.input_shape), jnp.float32),)


def elman(hidden_size: int = 128, **options: Any) -> RNN:
    """Elman's network; 20,096 parameters with 28 features.

    Args:
      hidden_size: Units.
      **options: All others of `RNN`.
    """
    return RNN(hidden_size, cell="elman", **options)


def gru(hidden_size: int = 128, **options: Any) -> RNN:
    """A gated recurrent unit; 60,416 parameters with 28 features.

    Args:
      hidden_size: Units.
      **options: All others of `RNN`.
    """
    return RNN(hidden_size, cell="gru", **options)


def lstm(hidden_size: int = 128, **options: Any) -> RNN:
    """A long short-term memory; 80,384 parameters with 28 features.

    Args:
      hidden_size: Units.
      **options: All others of `RNN`.
    """
    return RNN(hidden_size, cell="lstm", **options)


def _both(layer, back, x, before, *flags):
    """Runs a layer in each direction."""
    there, carry = layer(x, before[0], *flags)
    and_back, back_carry = back(x, before[1], *flags)
    return jnp.concatenate([there, and_back], axis=-1), (carry, back_carry)
