"""Word dropout."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from fdl.data.augment.composition import Augment, check_probability
from fdl.errors import UserError
from fdl.types import Array, Key


def word_dropout(
    probability: float, token: int, *, keep: Sequence[int] = ()
) -> Augment:
    """Word dropout: replaces tokens by one that stands for any, such as ``unk``.

    A model learns to do without a word, and with one that it does not know.

    Args:
      probability: Probability of replacement, for each token.
      token: Token id to replace them by.
      keep: Token ids that stay, such as that of padding.

    Returns:
      A function of a key and token ids, int [B, T].

    Raises:
      UserError: The probability is not valid; or, by the function, tokens are no
        integers.

    References:
      Iyyer et al., `Deep Unordered Composition Rivals Syntactic Methods for Text
      Classification <https://aclanthology.org/P15-1162/>`_, 2015.

    Example:
      >>> drop = word_dropout(1.0, token=1, keep=[0])
      >>> drop(jax.random.key(0), jnp.array([[7, 8, 0]]))
      Array([[1, 1, 0]], dtype=int32)
    """
    check_probability(probability)

    def augment(key: Key, tokens: Array) -> Array:
        if not jnp.issubdtype(tokens.dtype, jnp.integer):
            raise UserError(f"tokens.dtype={tokens.dtype}: expected integers")
        drop = jax.random.bernoulli(key, probability, tokens.shape)
        drop &= ~jnp.isin(tokens, jnp.asarray([*keep], tokens.dtype))
        return jnp.where(drop, jnp.asarray(token, tokens.dtype), tokens)

    return augment
