"""A recurrent layer in one direction, on which all recurrent models build."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from flax.typing import Initializer
from jax.typing import DTypeLike

from fdl.errors import UserError
from fdl.models.layers.orthogonal import orthogonal
from fdl.models.layers.recurrent_cells import CELLS
from fdl.models.layers.recurrent_scan import Weights, recur
from fdl.types import Array, PyTree


class _Affine(nn.Module):
    """Kernel and optional bias of a gate; the product is computed elsewhere."""

    features: int
    use_bias: bool
    kernel_init: Initializer
    bias_init: Initializer
    param_dtype: DTypeLike

    @nn.compact
    def __call__(self, size: int) -> tuple[Array, ...]:
        """Returns the kernel [size, features], and the bias [features] if any."""
        shape = (size, self.features)
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        if not self.use_bias:
            return (kernel,)
        return kernel, self.param("bias", self.bias_init, shape[1:], self.param_dtype)


class RecurrentCore(nn.Module):
    """Unidirectional recurrent layer: Elman, GRU or LSTM.

    The carry is the state h, float [B, hidden_size], or (c, h) for the LSTM. It is
    float32 at least, also where the products are in bfloat16. Parameters have the names
    and shapes of flax's `SimpleCell`, `GRUCell` and `OptimizedLSTMCell`: one bias for
    each pre-activation, whereas PyTorch and cuDNN have two. Intermediates: ``states``,
    the outputs.

    Attributes:
      hidden_size: Number of hidden units.
      cell: "elman", "gru" or "lstm".
      reverse: Whether to run from the last step to the first.
      forget_bias: Initial bias of the LSTM's forget gate. With 0, gradients vanish over
        long sequences as in an Elman network.
      kernel_init: Initialiser of the kernels of the input.
      recurrent_init: Initialiser of the kernels of the state.
      input_shape: Shape of an input of `example` without its batch axis: steps and
        features. Inputs of other shapes are accepted.
      dtype: Dtype of the products; that of inputs and parameters where None.
      param_dtype: Dtype of the parameters.

    References:
      Elman, `Finding Structure in Time
      <https://doi.org/10.1207/s15516709cog1402_1>`_, 1990.
      Hochreiter and Schmidhuber, `Long Short-Term Memory
      <https://doi.org/10.1162/neco.1997.9.8.1735>`_, 1997.
      Gers, Schmidhuber and Cummins, `Learning to Forget
      <https://doi.org/10.1162/089976600300015015>`_, 2000.
      Cho et al., `Learning Phrase Representations using RNN Encoder-Decoder
      <https://arxiv.org/abs/1406.1078>`_, 2014.
      Jozefowicz, Zaremba and Sutskever, `An Empirical Exploration of Recurrent Network
      Architectures <https://proceedings.mlr.press/v37/jozefowicz15.html>`_, 2015.
    """

    hidden_size: int
    cell: str = "lstm"
    reverse: bool = False
    forget_bias: float = 1.0
    kernel_init: Initializer = nn.initializers.lecun_normal()
    recurrent_init: Initializer = orthogonal()
    input_shape: Sequence[int] = (28, 28)
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(
        self,
        inputs: Array,
        initial_carry: PyTree | None = None,
        resets: Array | None = None,
        mask: Array | None = None,
    ) -> tuple[Array, PyTree]:
        """Runs the layer over a sequence.

        Args:
          inputs: float [B, T, D].
          initial_carry: Carry before the first step; zeros where None.
          resets: True at the first step of an episode, before which the state is set to
            zero, bool [B, T]. Not supported with `reverse`.
          mask: True for tokens, false for padding, bool [B, T]. Padding leaves the
            state unchanged, and its outputs are zero.

        Returns:
          Outputs, float [B, T, hidden_size], and the carry after the last token.

        Raises:
          UserError: The inputs have other axes, the cell is unknown, or resets are
            given to a reversed layer.
        """
        if inputs.ndim != 3:
            raise UserError(f"inputs {[*inputs.shape]}: expected [B, T, D]")
        if self.cell not in CELLS:
            raise UserError(f"cell={self.cell!r}: expected one of {[*CELLS]}")
        if self.reverse and resets is not None:
            raise UserError("reverse=True: expected no resets")
        cell, weights = CELLS[self.cell], self._weights(inputs.shape[-1])
        leaves, structure = jax.tree.flatten(weights)
        inputs, *leaves = promote_dtype(inputs, *leaves, dtype=self.dtype)
        weights = jax.tree.unflatten(structure, leaves)
        if initial_carry is None:
            initial_carry = self.zero_carry(inputs.shape[0])
        # In bfloat16, small updates of a large state would be rounded away.
        wide = jnp.promote_types(inputs.dtype, jnp.float32)
        state = tuple(x.astype(wide) for x in jax.tree.leaves(initial_carry))
        inputs = inputs.swapaxes(0, 1)
        flags = [None if x is None else x.swapaxes(0, 1) for x in (mask, resets)]
        outputs, carry = recur(cell, self.reverse, weights, inputs, state, *flags)
        outputs = outputs.swapaxes(0, 1)
        self.sow("intermediates", "states", outputs)
        return outputs, carry if self.cell == "lstm" else carry[0]

    def _weights(self, num_features: int) -> Weights:
        cell, sides = CELLS[self.cell], {}
        sides["i"] = num_features, self.kernel_init
        sides["h"] = self.hidden_size, self.recurrent_init
        params = {}
        for name in (side + gate for side in sides for gate in cell.gates):
            size, kernel_init = sides[name[0]]
            # Only the LSTM has a forget gate, with its bias in the kernel of the state.
            bias = self.forget_bias if name == "hf" else 0.0
            params[name] = _Affine(
                self.hidden_size,
                name in cell.biases,
                kernel_init,
                nn.initializers.constant(bias),
                self.param_dtype,
                name=name,
            )(size)
        return Weights(
            tuple(params["i" + gate][0] for gate in cell.gates),
            tuple(params["h" + gate][0] for gate in cell.gates),
            tuple(params[name][-1] for name in cell.biases),
        )

    @nn.nowrap
    def zero_carry(self, batch_size: int) -> PyTree:
        """Initial carry of zeros for a batch of this size."""
        return zero_carry(self, batch_size)

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Shape and dtype of a batch of one input of `input_shape`."""
        return (jax.ShapeDtypeStruct((1, *self.input_shape), jnp.float32),)


def zero_carry(module: Any, batch_size: int) -> PyTree:
    """Initial carry of zeros for the cell of a module.

    Args:
      module: Module with attributes cell, hidden_size, dtype and param_dtype.
      batch_size: Batch size, B.

    Returns:
      float [B, hidden_size], or two of them for the LSTM.
    """
    dtype = jnp.promote_types(module.dtype or module.param_dtype, jnp.float32)
    shape = (batch_size, module.hidden_size)
    # Two arrays: a buffer that is in the carry twice could not be donated.
    if module.cell == "lstm":
        return jnp.zeros(shape, dtype), jnp.zeros(shape, dtype)
    return jnp.zeros(shape, dtype)
