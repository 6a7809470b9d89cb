"""Restricted Boltzmann machine of binary units."""

import math
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp
from jax.typing import DTypeLike

from fdl.errors import UserError, check_positive
from fdl.types import Array

LARGEST_SUM = 20  # Units of the layer whose states are enumerated: a million.


class RBM(nn.Module):
    """Restricted Boltzmann machine of binary visible and hidden units.

    Its energy is E(v, h) = −b·v − c·h − v·W h. Without connections in a layer,
    p(h = 1 | v) = σ(c + v W) and p(v = 1 | h) = σ(b + W h) are exact, and the sum over
    the hidden units has a closed form: p(v) = exp(−F(v)) / Z with the free energy
    F(v) = −b·v − Σ_j log(1 + exp(c + v W)_j).

    Calling the module returns free energies. Random states are drawn from the random
    stream ``dropout``. With ``num_chains`` it has the states of that many Markov chains
    in the collection ``chains``, for persistent contrastive divergence.

    Attributes:
      num_hidden: Number H of hidden units.
      input_shape: Shape of an example, whose values are the V visible units.
      num_chains: Number of persistent chains, of random states at first; or None.
      dtype: Computation dtype; that of inputs and parameters if None.
      param_dtype: Dtype of the parameters.

    References:
      Goodfellow, Bengio and Courville, `Deep Learning
      <https://www.deeplearningbook.org>`_, 2016, section 20.2; Hinton, `A Practical
      Guide to Training Restricted Boltzmann Machines
      <https://www.cs.toronto.edu/~hinton/absps/guideTR.pdf>`_, 2010.

    Example:
      >>> module = RBM(num_hidden=3, input_shape=(4,))
      >>> states = jnp.array([[0.0, 1.0, 1.0, 0.0]])
      >>> variables = jax.jit(module.init)(jax.random.key(0), states)
      >>> variables = jax.tree.map(jnp.zeros_like, variables)
      >>> jnp.exp(module.apply(variables, states, method="log_prob"))  # 1 / 2⁴.
      Array([0.0625], dtype=float32)
    """

    num_hidden: int
    input_shape: Sequence[int] = (28, 28, 1)
    num_chains: int | None = None
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    def setup(self) -> None:
        """Creates the weights, the biases and the states of the chains."""
        check_positive(num_hidden=self.num_hidden)
        if self.num_chains is not None:
            check_positive(num_chains=self.num_chains)
        num_visible, dtype = math.prod(self.input_shape), self.param_dtype
        shape, zeros = (num_visible, self.num_hidden), nn.initializers.zeros
        self.kernel = self.param("kernel", nn.initializers.normal(0.01), shape, dtype)
        self.visible_bias = self.param("visible_bias", zeros, shape[:1], dtype)
        self.hidden_bias = self.param("hidden_bias", zeros, shape[1:], dtype)
        # Afterwards, variables without the chains are as good for everything else.
        if self.num_chains and self.is_initializing():
            states = (self.num_chains, num_visible)
            self.variable(
                "chains",
                "visible",
                lambda: _draw(self.make_rng("params"), jnp.zeros(states)),
            )

    def __call__(self, inputs: Array, *, train: bool = False) -> Array:
        """Maps visible states [B, ...] to their free energies F(v), float [B]."""
        del train  # Training and evaluation are the same.
        # In float32 at least: of hundreds of nats, bfloat16 knows two.
        visible, kernel, visible_bias, hidden_bias = map(_wide, self._arrays(inputs))
        activations = nn.softplus(visible @ kernel + hidden_bias[None])
        return -visible @ visible_bias - activations.sum(axis=-1)

    def encode(self, inputs: Array) -> Array:
        """Maps visible states [B, ...] to p(h = 1 | v), float [B, H]."""
        return nn.sigmoid(self._hidden_logits(inputs))

    def decode(self, hidden: Array) -> Array:
        """Maps hidden states [B, H] to p(v = 1 | h), float [B, *input_shape]."""
        probabilities = nn.sigmoid(self._visible_logits(hidden))
        return probabilities.reshape(len(hidden), *self.input_shape)

    def reconstruct(self, inputs: Array) -> Array:
        """Maps visible states [B, ...] to p(v = 1 | h = E[h | v]), of their shape."""
        return self.decode(self.encode(inputs)).reshape(inputs.shape)

    def gibbs(
        self, inputs: Array, *, num_steps: int, temperature: Array | None = None
    ) -> Array:
        """Block Gibbs sampling: steps of all hidden, then all visible units.

        Args:
          inputs: Visible states to begin with, [B, ...].
          num_steps: Number k of steps.
          temperature: Temperature T of each chain, float [B]: the energy is divided by
            it. Default: 1.

        Returns:
          Visible states after the steps, of 0 and 1, float of the shape of the inputs.
        """
        scale = 1.0 if temperature is None else 1 / temperature[:, None]

        def step(visible, key):
            hidden_key, visible_key = jax.random.split(key)
            hidden = _draw(hidden_key, self._hidden_logits(visible) * scale)
            logits = self._visible_logits(hidden) * scale
            return _draw(visible_key, logits).astype(visible.dtype), None

        visible = self._arrays(inputs)[0]
        keys = jax.random.split(self.make_rng("dropout"), num_steps)
        return jax.lax.scan(step, visible, keys)[0].reshape(inputs.shape)

    def log_partition(self) -> Array:
        """Logarithm of Z by enumeration of the smaller layer, float [].

        Raises:
          UserError: The smaller layer has more than 20 units.
        """
        kernel, *biases = (_wide(x) for x in self._arrays()[1:])
        if kernel.shape[0] > kernel.shape[1]:
            kernel, biases = kernel.T, biases[::-1]
        size, (bias, other_bias) = kernel.shape[0], biases
        if size > LARGEST_SUM:
            raise UserError(
                f"num_hidden={self.num_hidden}, input_shape={tuple(self.input_shape)}: "
                f"expected a layer of at most {LARGEST_SUM} units, to enumerate"
            )
        states = jnp.arange(2**size)[:, None] >> jnp.arange(size)[None] & 1
        states = states.astype(kernel.dtype)
        activations = nn.softplus(states @ kernel + other_bias[None]).sum(axis=-1)
        return logsumexp(states @ bias + activations)

    def log_prob(self, inputs: Array) -> Array:
        """Maps visible states [B, ...] to log p(v), float [B]; see `log_partition`."""
        return -self(inputs) - self.log_partition()

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Shape of one example, `input_shape`."""
        return (jax.ShapeDtypeStruct((1, *self.input_shape), jnp.float32),)

    def _arrays(self, inputs: Array | None = None) -> tuple[Array, ...]:
        """Inputs as [B, V], weights and both biases, in the dtype of the computation.

        Raises:
          UserError: Inputs have another number of values.
        """
        num_visible = math.prod(self.input_shape)
        if inputs is None:
            inputs = jnp.zeros((0, num_visible), self.kernel.dtype)
        visible = inputs.reshape(len(inputs), math.prod(inputs.shape[1:]))
        if visible.shape[1] != num_visible:
            raise UserError(
                f"input_shape={tuple(self.input_shape)}: expected inputs of "
                f"{num_visible} values, got {visible.shape[1]}"
            )
        parameters = self.kernel, self.visible_bias, self.hidden_bias
        return tuple(nn.dtypes.promote_dtype(visible, *parameters, dtype=self.dtype))

    def _hidden_logits(self, inputs: Array) -> Array:
        visible, kernel, _, hidden_bias = self._arrays(inputs)
        return visible @ kernel + hidden_bias[None]

    def _visible_logits(self, hidden: Array) -> Array:
        _, kernel, visible_bias, _ = self._arrays()
        return hidden.astype(kernel.dtype) @ kernel.T + visible_bias[None]


def rbm_mnist(**options: Any) -> RBM:
    """Restricted Boltzmann machine of MNIST, 784-500; 393,284 parameters.

    Args:
      **options: Other attributes of `RBM`.

    References:
      Salakhutdinov and Murray, `On the Quantitative Analysis of Deep Belief Networks
      <https://doi.org/10.1145/1390156.1390266>`_, 2008.
    """
    return RBM(**{"num_hidden": 500, **options})


def _draw(key: Array, logits: Array) -> Array:
    """Bernoulli states, 0 or 1, in the dtype of the logits."""
    # Uniform numbers in float32, of which bfloat16 has few.
    return jax.random.bernoulli(key, nn.sigmoid(_wide(logits))).astype(logits.dtype)


def _wide(x: Array) -> Array:
    """Array in float32 at least."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))
