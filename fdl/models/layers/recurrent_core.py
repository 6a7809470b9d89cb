"""One recurrent layer in one direction: what stacks, models and agents are made of."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from flax.typing import Initializer
from jax.typing import DTypeLike

from fdl.models.layers.orthogonal import orthogonal
from fdl.models.layers.recurrent_cells import CELLS
from fdl.models.layers.recurrent_scan import Weights, recur
from fdl.types import Array, PyTree


class _Affine(nn.Module):
    """A kernel and perhaps a bias, for others to use."""

    features: int
    use_bias: bool
    kernel_init: Initializer
    bias_init: Initializer
    param_dtype: DTypeLike

    @nn.compact
    def __call__(self, size: int) -> tuple[Array, ...]:
        """The parameters for an input of this size."""
        shape = (size, self.features)
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        if not self.use_bias:
            return (kernel,)
        return kernel, self.param("bias", self.bias_init, shape[1:], self.param_dtype)


class RecurrentCore(nn.Module):
    """One recurrent layer, from the first step to the last or the other way.

    What it carries is the state h, float [B, hidden_size]; the LSTM's is (c, h). It is
    float32 also where bfloat16 is computed in. Parameters have the names and shapes
    that flax's `SimpleCell`, `GRUCell` and `OptimizedLSTMCell` give them: one bias for
    each sum, of which PyTorch and cuDNN have two. Intermediates: ``states``, the
    outputs.

    Attributes:
      hidden_size: Units.
      cell: "elman", "gru" or "lstm".
      reverse: Whether it runs from the last step to the first.
      forget_bias: What the bias of the LSTM's forget gate begins as. With 0, gradients
        vanish as in Elman's network.
      kernel_init: Initialiser of the input's kernels.
      recurrent_init: Of the state's.
      input_shape: Of an example, without its batch: steps and features. Others are
        taken too.
      dtype: What products are computed in; that of inputs and parameters where None.
      param_dtype: What parameters are stored in.

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
        """Runs over time.

        Args:
          inputs: float [B, T, D].
          initial_carry: What it carries at the first step; zeros by default.
          resets: bool [B, T], true where an episode begins: it then forgets what was
            before. Not in reverse.
          mask: bool [B, T], true where a token is. Padding changes no state, and the
            outputs there are zero.

        Returns:
          Outputs, float [B, T, hidden_size], and what it carries after the last token.
        """
        if self.cell not in CELLS:
            raise ValueError(f"cell is {self.cell!r}, but has to be of {[*CELLS]}.")
        if self.reverse and resets is not None:
            raise ValueError("resets need a layer that is not reversed.")
        cell, weights = CELLS[self.cell], self._weights(inputs.shape[-1])
        leaves, structure = jax.tree.flatten(weights)
        inputs, *leaves = promote_dtype(inputs, *leaves, dtype=self.dtype)
        weights = jax.tree.unflatten(structure, leaves)
        if initial_carry is None:
            initial_carry = self.zero_carry(inputs.shape[0])
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
        found = {}
        for name in (side + gate for side in sides for gate in cell.gates):
            size, kernel_init = sides[name[0]]
            begin = self.forget_bias if name == "hf" else 0.0
            found[name] = _Affine(
                self.hidden_size,
                name in cell.biases,
                kernel_init,
                nn.initializers.constant(begin),
                self.param_dtype,
                name=name,
            )(size)
        return Weights(
            tuple(found["i" + gate][0] for gate in cell.gates),
            tuple(found["h" + gate][0] for gate in cell.gates),
            tuple(found[name][-1] for name in cell.biases),
        )

    @nn.nowrap
    def zero_carry(self, batch_size: int) -> PyTree:
        """What it carries before the first step: zeros."""
        return zero_carry(self, batch_size)

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """One sequence of the shape that `input_shape` says."""
        return (jax.ShapeDtypeStruct((1, *self.input_shape), jnp.float32),)


def zero_carry(module: Any, batch_size: int) -> PyTree:
    """Zeros for a module's cell; no two share a buffer, so that they can be donated."""
    dtype = jnp.promote_types(module.dtype or module.param_dtype, jnp.float32)
    shape = (batch_size, module.hidden_size)
    if module.cell == "lstm":
        return jnp.zeros(shape, dtype), jnp.zeros(shape, dtype)
    return jnp.zeros(shape, dtype)
