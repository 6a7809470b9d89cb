"""Ensembles: the mean of probabilities, held to NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import generation, models
from fdl.errors import UserError

PROGRAMS = 20
VOCAB_SIZE = 7
SOURCE = jnp.array([[3, 1, 4, 2], [5, 2, 0, 0]])
MASK = jnp.array([[1, 1, 1, 1], [1, 1, 0, 0]], bool)
TARGET = jnp.array([[0, 4, 3], [0, 6, 1]])
MODULES = [
    models.Transformer(1, 2, 4, 6, vocab_size=VOCAB_SIZE, max_length=8),
    models.Seq2Seq(
        4, vocab_size=VOCAB_SIZE, embedding_size=3, readout_size=2, attention=False
    ),
]


@pytest.fixture(scope="module")
def members():
    random = np.random.RandomState(0)
    found = [models.functional(module, SOURCE, TARGET) for module in MODULES]
    shapes = [jax.eval_shape(model.init, jax.random.key(0)) for model in found]
    return found, jax.tree.map(
        lambda x: np.float32(random.normal(size=x.shape)), shapes
    )


@jax.jit
def probabilities(variables):
    """Of each model, float [2, B, T, V]."""
    logits = [
        models.functional(module).apply(own, SOURCE, TARGET, source_mask=MASK)[0]
        for module, own in zip(MODULES, variables, strict=True)
    ]
    return jnp.stack(logits)


def numpy_mean(variables):
    logits = np.asarray(probabilities(variables), np.float64)
    each = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    return each.mean(axis=0)


def test_probabilities_are_the_mean_of_those_of_the_models_step_by_step(members):
    found, variables = members
    both = generation.ensemble([generation.decoder(model) for model in found])
    assert (both.vocab_size, both.max_length) == (VOCAB_SIZE, None)
    expected = numpy_mean(variables)

    @jax.jit
    def decode(variables):
        start, mask = TARGET[:, :1], jnp.ones((2, 1), bool)
        cache, first = both.prefill(variables, start, mask, 4, SOURCE, MASK)
        cache, second = both.step(variables, cache, TARGET[:, 1])
        # The rows change places, in the caches of both.
        cache = both.reorder(cache, jnp.array([1, 0]))
        _, third = both.step(variables, cache, TARGET[::-1, 2])
        return jnp.stack([first, second, third[::-1]], axis=1)

    logits = decode(variables)
    assert logits.dtype == "float32"
    np.testing.assert_allclose(np.exp(logits), expected, atol=2e-6)


def test_the_models_have_one_vocabulary(members):
    found, _ = members
    other = models.functional(models.RNNLanguageModel(2, vocab_size=5))
    decoders = [generation.decoder(model) for model in (found[0], other)]
    with pytest.raises(UserError, match=r"^decoders of 5 and 7 tokens: expected one"):
        generation.ensemble(decoders)
    with pytest.raises(UserError, match=r"^decoders=\[\]: expected at least one"):
        generation.ensemble([])
