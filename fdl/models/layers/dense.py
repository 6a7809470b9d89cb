"""Dense layers over tokens that train at full speed on the CPU."""

import math
from typing import Any

import flax.linen as nn
import jax
from flax.linen.dtypes import promote_dtype
from jax import Array, lax


def dense(features: int, **options: Any) -> nn.Dense:
    """A `flax.linen.Dense` that sees its inputs as a matrix on the CPU.

    The gradient of a kernel over inputs [B, T, D] sums over B and T. XLA's product on
    the CPU, asked to sum over two axes, takes 3 times as long as over one of B·T.
    Elsewhere the axes stay apart, so that both of them can be sharded.

    Args:
      features: Size of the last axis of the output.
      **options: All others of `flax.linen.Dense`, with the same parameters and values.
    """
    return nn.Dense(features, dot_general=dot_general, **options)


def tied_logits(embedding: nn.Embed, x: Array) -> Array:
    """What `embedding.attend(x)` is, float [..., V]: x times all embeddings.

    Args:
      embedding: Of V tokens, with D features each.
      x: float [..., D].
    """
    x, weights = promote_dtype(x, embedding.embedding, dtype=embedding.dtype)
    return dot_general(x, weights, (((x.ndim - 1,), (1,)), ((), ())))


def dot_general(lhs: Array, rhs: Array, dimension_numbers: Any, **options: Any):
    """`jax.lax.dot_general`, with the leading axes of a left side as one on the CPU.

    Args:
      lhs: [..., D].
      rhs: A matrix, [D, F] or [F, D].
      dimension_numbers: ``(((lhs.ndim - 1,), (0 or 1,)), ((), ()))``, as
        `flax.linen.Dense` asks for.
      **options: All others of `jax.lax.dot_general`.
    """
    (_, contracted), batch = dimension_numbers

    def plain(lhs, rhs):
        return lax.dot_general(lhs, rhs, dimension_numbers, **options)

    def flat(lhs, rhs):
        rows = lhs.reshape(math.prod(lhs.shape[:-1]), lhs.shape[-1])
        numbers = ((1,), contracted), batch
        product = lax.dot_general(rows, rhs, numbers, **options)
        return product.reshape(*lhs.shape[:-1], product.shape[-1])

    if lhs.ndim < 3:
        return plain(lhs, rhs)
    return jax.lax.platform_dependent(lhs, rhs, cpu=flat, default=plain)
