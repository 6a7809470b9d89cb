import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.models.language.text_cnn import TextCNN
from fdl.models.layers import conv

PROGRAMS = 60

MODULE = TextCNN(3, 11, 4, widths=(2, 5), num_filters=3, pad_token=0, max_length=4)
TEXTS = [[4, 7, 1, 10], [5], [], [2, 2, 9]]
TOKENS = np.array([text + [0] * (4 - len(text)) for text in TEXTS])


def features_of(params, text):
    """By the definition, in float64: the maximum over all windows with a token."""
    embedded = np.float64(params["token_embedding"]["embedding"])[text].reshape(-1, 4)
    maxima = []
    for width in (2, 5):
        kernel, bias = (
            np.float64(params[f"conv_{width}"][name]) for name in ("kernel", "bias")
        )
        padded = np.pad(embedded, [(width - 1, width - 1), (0, 0)])
        windows = [
            np.maximum(np.tensordot(padded[i : i + width], kernel, 2) + bias, 0)
            for i in range(len(text) + width - 1 if text else 0)
        ]
        maxima.append(np.max(windows or [np.zeros(3)], axis=0))
    return np.concatenate(maxima)


@pytest.fixture(scope="module")
def variables(random_variables):
    return random_variables(MODULE)


def test_it_is_that_of_the_paper_also_of_texts_shorter_than_a_filter(variables, apply):
    params = variables["params"]
    features = np.stack([features_of(params, text) for text in TEXTS])
    head = params["head"]
    expected = features @ np.float64(head["kernel"]) + head["bias"]
    np.testing.assert_allclose(apply(MODULE, variables, TOKENS), expected, atol=1e-6)
    masked = apply(MODULE.clone(pad_token=None), variables, TOKENS, mask=TOKENS != 0)
    np.testing.assert_allclose(masked, expected, atol=1e-6)
    wider = apply(MODULE, variables, np.pad(TOKENS, [(0, 0), (0, 3)]))
    np.testing.assert_allclose(wider, expected, atol=1e-6)


def test_gradients_are_finite_also_of_an_empty_text(variables):
    grads = jax.jit(jax.grad(lambda v: jnp.sum(MODULE.apply(v, TOKENS))))(variables)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(grads))
    # The embedding of padding is not learnt.
    embedding = grads["params"]["token_embedding"]["embedding"]
    assert not embedding[0].any() and embedding[5].any()


@pytest.mark.parametrize("stride, dilation", [(1, 1), (2, 3)])
def test_convolutions_of_sequences_are_those_of_flax(stride, dilation):
    options = {"strides": stride, "kernel_dilation": dilation, "padding": [(2, 1)]}
    x = jax.random.normal(jax.random.key(0), (2, 9, 3))
    ours, theirs = conv(4, (3,), **options), nn.Conv(4, (3,), **options)
    params = theirs.init(jax.random.key(1), x)

    def values_and_grads(layer):
        def loss(params, x):
            return jnp.sin(layer.apply(params, x)).sum()

        return jax.jit(jax.value_and_grad(loss, (0, 1)))(params, x)

    chex.assert_trees_all_close(
        values_and_grads(ours), values_and_grads(theirs), atol=1e-5
    )
