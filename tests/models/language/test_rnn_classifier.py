import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.models.language.rnn_classifier import RNNClassifier, RNNEncoder
from fdl.models.rnn import RNN

PROGRAMS = 260

TOKENS = np.random.RandomState(0).randint(11, size=(3, 6))
MASK = np.arange(6) < np.array([6, 2, 4])[:, None]
SMALL = RNNClassifier(5, 2, "gru", True, num_classes=3, vocab_size=11, embedding_size=4)


def pooled(pooling, states):
    """Of the states [T, 10] of one text without padding."""
    if pooling == "last":
        return np.concatenate([states[-1, :5], states[0, 5:]])
    return states.mean(axis=0) if pooling == "mean" else states.max(axis=0)


@pytest.mark.parametrize(
    "pooling, cell",
    [("last", "gru"), ("last", "lstm"), ("mean", "gru"), ("max", "gru")],
)
@pytest.mark.some(2)
def test_what_is_read_out_is_that_of_the_tokens(
    pooling, cell, apply, see, random_variables, assert_close
):
    module = SMALL.clone(pooling=pooling, cell=cell)
    variables = random_variables(module)
    logits, seen = see(module, variables, TOKENS, mask=MASK)
    there, back = (seen[f"encoder/rnn/layer_1{x}/states"] for x in ("", "_reverse"))
    states = np.concatenate([there, back], axis=-1)
    expected = np.stack(
        [pooled(pooling, s[m]) for s, m in zip(states, MASK, strict=True)]
    )
    assert_close(seen["features"], expected, 1e-6)
    head = variables["params"]["head"]
    assert_close(logits, expected @ head["kernel"] + head["bias"], 1e-5)
    body = module.clone(num_classes=None)
    assert_close(apply(body, variables, TOKENS, mask=MASK), expected, 1e-6)


@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
def test_padding_changes_nothing(pooling, apply, random_variables):
    module = SMALL.clone(pooling=pooling, num_layers=1)
    variables = random_variables(module)
    expected = apply(module, variables, TOKENS, mask=MASK)
    other = np.where(MASK, TOKENS, (TOKENS + 1) % 11)
    wider = np.pad(TOKENS, [(0, 0), (0, 3)]), np.pad(MASK, [(0, 0), (0, 3)])
    for tokens, mask in ((other, MASK), wider):
        actual = apply(module, variables, tokens, mask=mask)
        np.testing.assert_allclose(actual, expected, atol=1e-6)
    alone = apply(module, variables, TOKENS[1:2, :2])
    np.testing.assert_allclose(alone, expected[1:2], atol=1e-6)


def test_padding_may_be_a_token_of_its_own(apply, random_variables):
    module = SMALL.clone(num_layers=1)
    variables, tokens = random_variables(module), np.where(MASK, 1 + TOKENS % 10, 0)
    expected = apply(module, variables, tokens, mask=MASK)
    actual = apply(module.clone(pad_token=0), variables, tokens)
    np.testing.assert_array_equal(actual, expected)
    each = module.clone(pad_token=0, pooling="none")
    logits = apply(each, variables, tokens)
    assert logits.shape == (3, 6, 3)
    alone = apply(each, variables, tokens[1:2, :2])
    np.testing.assert_allclose(alone, logits[1:2, :2], atol=1e-6)


def test_without_padding_all_is_pooled(apply, random_variables):
    module = SMALL.clone(pooling="mean", num_layers=1)
    variables, everything = random_variables(module), np.ones((3, 6), bool)
    expected = apply(module, variables, TOKENS, mask=everything)
    actual = apply(module, variables, TOKENS)
    np.testing.assert_allclose(actual, expected, atol=1e-6)


def test_gradients_are_finite_also_of_an_empty_text(random_variables):
    for pooling in ("last", "mean", "max"):
        module = SMALL.clone(pooling=pooling, num_layers=1)
        variables, mask = random_variables(module), MASK & (np.arange(3) > 0)[:, None]

        def loss(variables, module=module, mask=mask):
            return jnp.sum(module.apply(variables, TOKENS, mask=mask))

        grads = jax.jit(jax.grad(loss))(variables)
        assert all(np.all(np.isfinite(g)) for g in jax.tree.leaves(grads))


def test_encoders_read_tokens_or_features(apply, random_variables, random_inputs):
    x = random_inputs(3, 6, 4)
    encoder = RNNEncoder(5, 2, bidirectional=True, input_shape=(6, 4))
    variables = random_variables(encoder)
    states, carry = apply(encoder, variables, x, mask=MASK, return_carry=True)
    rnn, params = RNN(5, 2, bidirectional=True), variables["params"]["rnn"]
    expected = apply(rnn, {"params": params}, x, mask=MASK, return_carry=True)
    jax.tree.map(np.testing.assert_array_equal, (states, carry), expected)

    reader = encoder.clone(vocab_size=3, embedding_size=4)
    table = random_inputs(3, 4)
    read = {"params": {"rnn": params, "embedding": {"embedding": table}}}
    tokens = TOKENS % 3
    expected = apply(encoder, variables, table[tokens])
    np.testing.assert_allclose(apply(reader, read, tokens), expected, atol=1e-6)


def test_dropout_is_for_training_only(apply, random_variables):
    module = SMALL.clone(dropout=1.0)
    variables = random_variables(module)
    rngs = {"dropout": jax.random.key(0)}
    logits = apply(module, variables, TOKENS, train=True, rngs=rngs)
    bias = np.broadcast_to(variables["params"]["head"]["bias"], logits.shape)
    np.testing.assert_allclose(logits, bias, atol=1e-6)
    expected = apply(SMALL, variables, TOKENS)
    np.testing.assert_array_equal(apply(module, variables, TOKENS), expected)


def test_bfloat16_stays_near(apply, random_variables, assert_close):
    variables = random_variables(SMALL)
    narrow = apply(SMALL.clone(dtype="bfloat16"), variables, TOKENS)
    wide = apply(SMALL, variables, TOKENS)
    assert narrow.dtype == jnp.bfloat16
    assert_close(np.float32(narrow), wide, 0.05)


def test_poolings_have_names():
    module = SMALL.clone(pooling="first")
    with pytest.raises(ValueError, match="pooling='first': expected 'last'"):
        jax.eval_shape(module.init, jax.random.key(0), TOKENS)
