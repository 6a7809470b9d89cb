"""Plots of a model that translates: what they are drawn of."""

import types

import jax
import jax.numpy as jnp
import numpy as np

from fdl import data, evaluation, generation, models
from fdl.data.text import tokenizers
from fdl.runs.language_plots import attention_weights
from fdl.runs.translation_plots import figures
from fdl.types import Batches

PROGRAMS = 30
SOURCE, TARGET = jnp.array([[1, 5, 2, 3]]), jnp.array([[0, 4, 6]])


def with_random(module):
    model = models.functional(module, SOURCE, TARGET)
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    random = np.random.RandomState(0)
    return model, jax.tree.map(
        lambda x: np.float32(random.normal(size=x.shape)), shapes
    )


def test_cross_attention_is_of_the_decoder_layer_by_layer():
    module = models.Transformer(
        1, 2, 4, 4, num_decoder_layers=2, vocab_size=7, max_length=4
    )
    model, variables = with_random(module)
    weights = attention_weights(
        model, variables, SOURCE, TARGET, layer="cross_attention"
    )
    assert [layer.shape for layer in weights] == [(2, 3, 4)] * 2
    np.testing.assert_allclose(np.sum(weights, axis=-1), 1, rtol=1e-5)
    assert not np.allclose(weights[0], weights[1])


def test_the_sentence_and_its_translation_are_written_beside_their_weights(
    monkeypatch,
):
    tokenizer = tokenizers.characters("abc ", ["pad", "bos", "eos"])
    module = models.Seq2Seq(
        3,
        vocab_size=tokenizer.vocab_size,
        embedding_size=2,
        readout_size=2,
    )
    model, variables = with_random(module)
    texts = data.preprocessing.text(tokenizer, 8, end="eos")
    ability = evaluation.translator(model, texts)
    # The second is the longest; what follows its end is padding, which no model has.
    rows = [[1, 6, 9, 9], [1, 0, 3, 6], [2, 6, 9, 9]]
    experiment = types.SimpleNamespace(
        model=model,
        abilities={"translate": ability},
        examples=types.SimpleNamespace(
            batches=Batches(lambda step: iter([{"source": np.array(rows)}]))
        ),
    )

    def translate(decoder, variables, texts, tokenizer, **options):
        assert texts == ["a c"]
        return [[generation.Translation("bb", -1.0, np.array([2, 2]))]]

    monkeypatch.setattr(generation, "translate", translate)
    ((name, figure),) = figures(experiment, variables, "step 7")
    (axes,) = figure.axes
    assert name == "cross_attention"
    assert [x.get_text() for x in axes.get_yticklabels()] == ["b", "b", "<eos>"]
    assert [x.get_text() for x in axes.get_xticklabels()] == ["a", "·", "c", "<eos>"]
    source, target = jnp.array([[1, 0, 3, 6]]), jnp.array([[5, 2, 2]])
    _, state = jax.jit(model.apply, static_argnames="mutable")(
        variables, source, target, mutable="intermediates"
    )
    (expected,) = state["intermediates"]["weights"]
    np.testing.assert_allclose(axes.images[0].get_array(), expected[0], rtol=1e-6)
