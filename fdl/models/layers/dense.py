"""Dense layers over tokens, with fast gradients on the CPU."""

import math
from typing import Any

import flax.linen as nn
import jax
from flax.linen.dtypes import promote_dtype
from jax import Array, lax


def dense(features: int, **options: Any) -> nn.Dense:
    """Dense layer, a `flax.linen.Dense` that flattens its inputs on the CPU.

    The gradient of a kernel for inputs [B, T, D] sums over B and T. XLA on the CPU
    takes 3 times as long for a contraction of two axes as for one axis of B·T. On other
    platforms the axes stay apart, so that both of them can be sharded.

    Args:
      features: Number of output features.
      **options: Further attributes of `flax.linen.Dense`; parameters and outputs are
        the same.
    """
    return nn.Dense(features, dot_general=dot_general, **options)


def tied_logits(embedding: nn.Embed, x: Array) -> Array:
    """Logits x Eᵀ of an output layer tied to the embedding E, float [..., V].

    Equals ``embedding.attend(x)``, with fast gradients on the CPU.

    Args:
      embedding: Embedding of V tokens with D features.
      x: Hidden states, float [..., D].
    """
    x, weights = promote_dtype(x, embedding.embedding, dtype=embedding.dtype)
    return dot_general(x, weights, (((x.ndim - 1,), (1,)), ((), ())))


def dot_general(lhs: Array, rhs: Array, dimension_numbers: Any, **options: Any):
    """`jax.lax.dot_general` that flattens the leading axes of `lhs` on the CPU.

    Args:
      lhs: float [..., D].
      rhs: Matrix, float [D, F] or [F, D].
      dimension_numbers: ``(((lhs.ndim - 1,), (0 or 1,)), ((), ()))``, as passed by
        `flax.linen.Dense`.
      **options: Further arguments of `jax.lax.dot_general`.
    """
    (_, contracted), batch = dimension_numbers

    def batched(lhs, rhs):
        return lax.dot_general(lhs, rhs, dimension_numbers, **options)

    def flat(lhs, rhs):
        rows = lhs.reshape(math.prod(lhs.shape[:-1]), lhs.shape[-1])
        numbers = ((1,), contracted), batch
        product = lax.dot_general(rows, rhs, numbers, **options)
        return product.reshape(*lhs.shape[:-1], product.shape[-1])

    if lhs.ndim < 3:
        return batched(lhs, rhs)
    return jax.lax.platform_dependent(lhs, rhs, cpu=flat, default=batched)
