"""Plots of a language model: what they are drawn of."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import models, plots
from fdl.data.text import tokenizers
from fdl.errors import UserError
from fdl.models.layers.layer_stack import stack_layers
from fdl.runs.language_plots import attention_weights, token_texts


def test_attention_weights_are_of_each_layer_in_order_scanned_or_not():
    sizes = {"vocab_size": 7, "max_length": 6}
    model = models.functional(models.GPT(2, 2, 4, **sizes))
    scanned = models.functional(models.GPT(2, 2, 4, scan_layers=True, **sizes))
    tokens = jnp.array([[1, 5, 2]])
    variables = jax.jit(model.init)(jax.random.key(0))
    weights = attention_weights(model, variables, tokens)
    assert [layer.shape for layer in weights] == [(2, 3, 3)] * 2
    np.testing.assert_allclose(np.sum(weights, axis=-1), 1, rtol=1e-5)
    np.testing.assert_array_equal(np.triu(weights, 1), 0)
    assert not np.allclose(weights[0], weights[1])
    stacked = attention_weights(scanned, stack_layers(variables), tokens)
    np.testing.assert_allclose(stacked, weights, atol=1e-6)


def test_a_network_without_attention_has_no_weights():
    model = models.functional(models.RNNLanguageModel(2, vocab_size=3))
    variables = jax.jit(model.init)(jax.random.key(0))
    assert not attention_weights(model, variables, jnp.array([[1, 2]]))


def test_texts_of_tokens_are_their_own():
    tokenizer = tokenizers.characters("ab\n", ["pad"])
    assert token_texts(tokenizer, np.array([1, 0, 2, 1, 3])) == [
        "a",
        "\n",
        "b",
        "a",
        "",
    ]


@pytest.mark.parametrize(
    "draw, message",
    [
        (lambda: plots.attention_maps([]), r"weights=\[\]"),
        (
            lambda: plots.attention_maps([np.ones((1, 2, 2))], ["a"]),
            "tokens: expected 2",
        ),
        (lambda: plots.token_surprise(["a"], np.ones(2)), r"nats.shape=\[2\]"),
        (lambda: plots.token_surprise([], np.ones(0)), r"nats.shape=\[0\]"),
        (lambda: plots.loss_by_position(np.ones(3)), r"nats.shape=\[3\]"),
    ],
)
def test_what_cannot_be_drawn_is_said(draw, message):
    with pytest.raises(UserError, match=message):
        draw()


def test_losses_by_position_are_means_of_the_windows_that_reach_so_far():
    figure = plots.loss_by_position(np.array([[3.0, 1.0, np.nan], [1.0, 2.0, np.nan]]))
    line = figure.axes[0].lines[0]
    assert line.get_xdata().tolist() == [1, 2]
    assert line.get_ydata().tolist() == [2.0, 1.5]


def test_surprise_is_in_bits_and_a_line_break_ends_a_line():
    figure = plots.token_surprise(["a", "\n", "$b"], np.log([2.0, 4.0, 8.0]))
    (image,) = figure.axes[0].images
    np.testing.assert_allclose(image.get_array()[0, :2], [1, 2])
    np.testing.assert_allclose(image.get_array()[1, :2], [3, 3])
    assert image.get_array().shape == (2, 80)
