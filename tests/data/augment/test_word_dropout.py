import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.data.augment import word_dropout
from fdl.errors import UserError

KEY = jax.random.key(0)
TOKENS = np.tile(np.arange(10, dtype=np.int32), (400, 5))


def test_a_share_of_the_words_becomes_unknown_and_padding_stays():
    drop = jax.jit(word_dropout(0.25, token=9, keep=[0, 1]))
    dropped = np.asarray(drop(KEY, TOKENS))
    assert dropped.dtype == np.int32
    changed = dropped != TOKENS
    assert (dropped[changed] == 9).all() and not changed[TOKENS < 2].any()
    share = changed[(TOKENS > 1) & (TOKENS < 9)].mean()
    assert abs(share - 0.25) < 0.015
    assert (np.asarray(drop(jax.random.key(1), TOKENS)) != dropped).any()
    assert (np.asarray(jax.jit(word_dropout(0.0, 9))(KEY, TOKENS)) == TOKENS).all()


def test_what_is_no_token_or_probability_is_an_error():
    with pytest.raises(UserError, match="probability=2: expected 0 to 1"):
        word_dropout(2, 9)
    with pytest.raises(UserError, match=r"tokens.dtype=float32: expected integers"):
        word_dropout(0.5, 9)(KEY, jnp.zeros((1, 2)))
