"""Vector quantisation: a codebook, whose nearest vector replaces each input."""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from fdl.errors import UserError, check_nonnegative, check_positive
from fdl.types import Array

CODEBOOK = "codebook"  # Collection of the moving averages.
EPSILON = 1e-5  # Counts are smoothed by it, so that no code is divided by zero.


class Quantized(NamedTuple):
    """Quantised vectors.

    Attributes:
      outputs: Nearest vector of the codebook, float [..., D]; its gradient goes to the
        input unchanged, as if the two were the same (straight-through estimator).
      nearest: The same vectors, whose gradient goes to a codebook that is learnt by the
        loss.
      codes: Index of the nearest vector, int32 [...].
    """

    outputs: Array
    nearest: Array
    codes: Array


class VectorQuantizer(nn.Module):
    """Vector quantiser: replaces each vector by the nearest of K vectors, its code.

    With exponential moving averages, a codebook is learnt as in k-means: of the inputs
    z that have code k in a training batch, Nₖ ← γ Nₖ + (1 − γ) nₖ and
    mₖ ← γ mₖ + (1 − γ) Σ z, and the code is eₖ = mₖ / Nₖ, with counts that are smoothed
    as by Laplace. N and m are the collection ``codebook`` of the variables: they change
    in training only, and the codes in use are those of before the batch. Else the
    codebook is a parameter, which a loss has to train.

    Distances are computed in float32.

    Attributes:
      num_codes: Number K of codes.
      code_size: Dimension D of a code.
      decay: Decay γ of the moving averages, from 0 to 1; None for a codebook that is a
        parameter.
      min_count: Moving count Nₖ below which a code is dead, and begins again at a
        random input of the batch; zero leaves dead codes as they are. It needs moving
        averages.
      param_dtype: Dtype of a codebook that is a parameter.

    References:
      van den Oord, Vinyals and Kavukcuoglu, `Neural Discrete Representation Learning
      <https://arxiv.org/abs/1711.00937>`_, 2017, with appendix A.1.

      Dhariwal et al., `Jukebox: A Generative Model for Music
      <https://arxiv.org/abs/2005.00341>`_, 2020 (random restarts of dead codes).

    Example:
      >>> layer = VectorQuantizer(num_codes=2, code_size=1)
      >>> state = {"counts": jnp.ones(2), "sums": jnp.array([[0.0], [1.0]])}
      >>> layer.apply({"codebook": state}, jnp.array([[0.4], [0.7]])).codes.tolist()
      [0, 1]
    """

    num_codes: int
    code_size: int
    decay: float | None = 0.99
    min_count: float = 0.0
    param_dtype: DTypeLike = "float32"

    def setup(self) -> None:
        """Makes the codebook: moving averages of its vectors, or a parameter."""
        check_positive(num_codes=self.num_codes, code_size=self.code_size)
        check_nonnegative(min_count=self.min_count)
        if self.decay is None and self.min_count:
            raise UserError(
                f"min_count={self.min_count}: expected a decay, as dead codes are "
                "known by their moving counts"
            )
        if self.decay is not None and not 0 <= self.decay < 1:
            raise UserError(f"decay={self.decay}: expected from 0 to below 1")
        shape, init = (self.num_codes, self.code_size), nn.initializers.normal(1.0)
        if self.decay is None:
            self.codebook = self.param(CODEBOOK, init, shape, self.param_dtype)
            return
        self.counts = self.variable(CODEBOOK, "counts", jnp.ones, shape[:1])
        self.sums = self.variable(
            CODEBOOK, "sums", lambda: init(self.make_rng("params"), shape)
        )

    def __call__(
        self, inputs: Array, *, mask: Array | None = None, train: bool = False
    ) -> Quantized:
        """Quantises vectors.

        Args:
          inputs: Vectors, float [B, ..., D].
          mask: Weights of the examples in the moving averages, float [B]; one if None.
          train: Whether to update the moving averages.

        Raises:
          UserError: The vectors have another dimension.
        """
        if inputs.shape[-1] != self.code_size:
            raise UserError(
                f"code_size={self.code_size}: expected {inputs.shape[-1]}, the "
                "dimension of the vectors"
            )
        vectors = jax.lax.stop_gradient(inputs).astype(jnp.float32)
        codebook = self._codebook()
        codes = nearest_codes(vectors, jax.lax.stop_gradient(codebook))
        if train and self.decay is not None and not self.is_initializing():
            self._update(vectors, codes, mask)
        nearest = codebook[codes].astype(inputs.dtype)
        outputs = inputs + jax.lax.stop_gradient(nearest - inputs)
        return Quantized(outputs, nearest, codes)

    def vectors(self, codes: Array) -> Array:
        """Vectors of codes, int [...], float [..., D]."""
        return self._codebook()[codes]

    def _codebook(self) -> Array:
        """Codebook, float [K, D]."""
        if self.decay is None:
            return self.codebook
        total = self.counts.value.sum()
        share = (self.counts.value + EPSILON) / (total + self.num_codes * EPSILON)
        return self.sums.value / (share * total)[:, None]

    def _update(self, vectors: Array, codes: Array, mask: Array | None) -> None:
        """Moving averages after a batch, and dead codes begun again."""
        each = jnp.ones(codes.shape, jnp.float32)
        if mask is not None:
            each *= mask.reshape(-1, *(1,) * (codes.ndim - 1)).astype(jnp.float32)
        each, vectors = each.reshape(-1), vectors.reshape(-1, self.code_size)
        # Selected, and not multiplied by zero: padding may be NaN.
        vectors = jnp.where(each[:, None] > 0, vectors, 0)
        members = jax.nn.one_hot(codes.reshape(-1), self.num_codes) * each[:, None]
        # A batch of weight zero, all of which is padding, changes nothing.
        decay = jnp.where(each.sum() > 0, self.decay or 0.0, 1.0)
        new = decay * self.counts.value + (1 - decay) * members.sum(axis=0)
        moved = decay * self.sums.value + (1 - decay) * members.T @ vectors
        if self.min_count:
            key = self.make_rng("dropout")
            shape = (self.num_codes,)
            rows = jax.random.categorical(key, jnp.log(each), shape=shape)
            dead = (new < self.min_count) & (each.sum() > 0)
            new = jnp.where(dead, 1.0, new)
            moved = jnp.where(dead[:, None], vectors[rows], moved)
        self.counts.value, self.sums.value = new, moved


def nearest_codes(vectors: Array, codebook: Array) -> Array:
    """Index of the nearest vector of a codebook, in Euclidean distance.

    Args:
      vectors: float [..., D].
      codebook: float [K, D].

    Returns:
      Index, int32 [...]; of several that are as near, the first.

    Example:
      >>> nearest_codes(jnp.array([0.9]), jnp.array([[0.0], [1.0], [2.0]]))
      Array(1, dtype=int32)
    """
    # Far from the origin, the difference of large numbers would lose the digits that
    # tell codes apart.
    centre = codebook.mean(axis=0, keepdims=True)
    codebook = codebook - centre
    vectors = vectors - centre.reshape(*(1,) * (vectors.ndim - 1), -1)
    # ‖z‖² is the same for all codes, and left out.
    products = jnp.matmul(vectors, codebook.T, precision="highest")
    squares = jnp.broadcast_to(jnp.square(codebook).sum(axis=-1), products.shape)
    distances = squares - 2 * products
    return distances.argmin(axis=-1).astype(jnp.int32)
