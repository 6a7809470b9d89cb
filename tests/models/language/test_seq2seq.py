import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.models.language.seq2seq import Seq2Seq

PROGRAMS = 200

SMALL = Seq2Seq(5, 2, 4, attention_size=6, readout_size=3, vocab_size=11)
ONE_VECTOR = SMALL.clone(attention=False)
SOURCE = np.random.RandomState(0).randint(11, size=(3, 6))
TARGET = np.random.RandomState(1).randint(11, size=(3, 4))
MASK = np.arange(6) < np.array([6, 2, 4])[:, None]


@pytest.fixture(scope="module")
def variables(random_variables):
    return random_variables(SMALL)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gru(p, h, x):
    """One step of a gated recurrent unit."""
    term = lambda name, v: v @ p[name]["kernel"] + p[name].get("bias", 0)  # noqa: E731
    r = sigmoid(term("ir", x) + term("hr", h))
    z = sigmoid(term("iz", x) + term("hz", h))
    n = np.tanh(term("in", x) + r * term("hn", h))
    return (1 - z) * n + z * h


def translate(p, source, target):
    """Logits and weights of one pair of texts without padding, in float64.

    Without attention, the weights are zero.
    """
    states = p["source_embedding"]["embedding"][source]
    for i in range(2):
        there, back = np.zeros(5), np.zeros(5)
        forward, backward = [], []
        for x in states:
            there = gru(p["encoder"][f"layer_{i}"], there, x)
            forward.append(there)
        for x in states[::-1]:
            back = gru(p["encoder"][f"layer_{i}_reverse"], back, x)
            backward.append(back)
        states = np.concatenate([forward, backward[::-1]], axis=1)
    s = np.tanh(back @ p["start"]["kernel"] + p["start"]["bias"])
    logits, alignments = [], []
    weights, context = np.zeros(len(source)), np.concatenate([there, back])
    for y in p["target_embedding"]["embedding"][target]:
        if "keys" in p:
            query = s @ p["decoder"]["query"]["kernel"]
            hidden = np.tanh(query + states @ p["keys"]["kernel"])
            weights = np.exp(hidden @ p["decoder"]["score"]["kernel"][:, 0])
            weights = weights / weights.sum()
            context = weights @ states
        t = np.concatenate([s, y, context]) @ p["readout"]["kernel"]
        t = (t + p["readout"]["bias"]).reshape(3, 2).max(axis=1)
        logits.append(t @ p["head"]["kernel"] + p["head"]["bias"])
        alignments.append(weights)
        s = gru(p["decoder"]["gru"], s, np.concatenate([y, context]))
    return np.array(logits), np.array(alignments)


def translate_all(variables):
    """Logits and weights of all pairs."""
    params = jax.tree.map(lambda x: np.asarray(x, np.float64), variables["params"])
    weights, logits = np.zeros((3, 4, 6)), []
    for b, length in enumerate(MASK.sum(axis=1)):
        one, weights[b, :, :length] = translate(params, SOURCE[b, :length], TARGET[b])
        logits.append(one)
    return np.array(logits), weights


def test_it_is_the_network_of_the_paper(see, variables, assert_close):
    actual, seen = see(SMALL, variables, SOURCE, TARGET, source_mask=MASK)
    logits, weights = translate_all(variables)
    assert_close(actual, logits, 1e-5)
    assert_close(seen["weights"], weights, 1e-5)


def test_without_attention_it_sees_the_last_state_of_each_direction(
    see, apply, random_variables, assert_close
):
    variables = random_variables(ONE_VECTOR)
    actual, seen = see(ONE_VECTOR, variables, SOURCE, TARGET, source_mask=MASK)
    assert_close(actual, translate_all(variables)[0], 1e-5)
    assert "weights" not in seen
    # A source of padding alone is no NaN, in half precision neither.
    narrow = ONE_VECTOR.clone(dtype="bfloat16")
    other = MASK & (np.arange(3)[:, None] > 0)
    logits = apply(narrow, variables, SOURCE, TARGET, source_mask=other)
    assert logits.dtype == jnp.bfloat16 and np.isfinite(np.float32(logits)).all()
    assert_close(np.float32(logits[1:]), actual[1:], 0.05)


def test_the_output_layer_maps_features_to_logits(apply, variables):
    whole = apply(SMALL, variables, SOURCE, TARGET)
    features = apply(SMALL, variables, SOURCE, TARGET, return_features=True)
    assert features.shape == (3, 4, 3)
    logits = apply(SMALL, variables, features, method="logits")
    np.testing.assert_allclose(logits, whole, atol=1e-6)


@functools.partial(jax.jit, static_argnums=0)
@functools.partial(jax.value_and_grad, argnums=1)
def value_and_gradients(module, variables, source, mask):
    logits = module.apply(variables, source, TARGET, source_mask=mask)
    return jnp.sum(jnp.sin(logits))


def test_gradients_are_those_of_the_reference(variables):
    """Along a random direction, against a difference in float64."""
    random = np.random.RandomState(2)
    v = jax.tree.map(lambda x: random.normal(size=x.shape), variables)

    def moved(step):
        at = jax.tree.map(
            lambda x, v: np.asarray(x, np.float64) + step * v, variables, v
        )
        return np.sum(np.sin(translate_all(at)[0]))

    _, grads = value_and_gradients(SMALL, variables, SOURCE, MASK)
    products = jax.tree.map(np.vdot, jax.tree.map(np.asarray, grads), v)
    actual = sum(jax.tree.leaves(products))
    expected = (moved(1e-5) - moved(-1e-5)) / 2e-5
    np.testing.assert_allclose(actual, expected, rtol=1e-4)


def test_padding_of_the_source_changes_nothing(variables):
    other = np.where(MASK, SOURCE, (SOURCE + 1) % 11)
    wider = np.pad(SOURCE, [(0, 0), (0, 3)]), np.pad(MASK, [(0, 0), (0, 3)])
    expected = value_and_gradients(SMALL, variables, SOURCE, MASK)
    for args in ((other, MASK), wider):
        actual = value_and_gradients(SMALL, variables, *args)
        chex.assert_trees_all_close(actual, expected, rtol=1e-5, atol=1e-5)


def test_later_tokens_change_no_earlier_logits(apply, variables):
    changed = TARGET.copy()
    changed[:, 2] = (changed[:, 2] + 1) % 11
    before, after = (apply(SMALL, variables, SOURCE, t) for t in (TARGET, changed))
    np.testing.assert_array_equal(before[:, :2], after[:, :2])
    assert np.all(np.any(before[:, 2:] != after[:, 2:], axis=-1))


def test_a_target_in_parts_is_the_whole(apply, variables):
    decode = functools.partial(apply, SMALL, method="decode")
    memory = apply(SMALL, variables, SOURCE, mask=MASK, method="encode")
    whole, last = decode(variables, TARGET, memory)
    first, carry = decode(variables, TARGET[:, :3], memory)
    second, carry = decode(variables, TARGET[:, 3:], memory, carry)
    np.testing.assert_allclose(np.concatenate([first, second], 1), whole, atol=1e-6)
    np.testing.assert_allclose(carry, last, atol=1e-6)
    padded = np.pad(TARGET, [(0, 0), (0, 2)])
    mask = np.arange(6)[None] < np.array([[4], [4], [4]])
    _, carry = decode(variables, padded, memory, mask=mask)
    np.testing.assert_allclose(carry, last, atol=1e-6)


def test_remat_changes_nothing(variables):
    actual, expected = (
        value_and_gradients(module, variables, SOURCE, MASK)
        for module in (SMALL.clone(remat=True), SMALL)
    )
    chex.assert_trees_all_close(actual, expected, atol=1e-5)


def test_bfloat16_stays_near(apply, variables, assert_close):
    narrow = apply(SMALL.clone(dtype="bfloat16"), variables, SOURCE, TARGET)
    wide = apply(SMALL, variables, SOURCE, TARGET)
    assert narrow.dtype == jnp.bfloat16
    assert_close(np.float32(narrow), wide, 0.05)


def test_dropout_is_for_training_only(apply, variables):
    module = SMALL.clone(dropout=1.0)
    rngs = {"dropout": jax.random.key(0)}
    logits = apply(module, variables, SOURCE, TARGET, train=True, rngs=rngs)
    bias = np.broadcast_to(variables["params"]["head"]["bias"], logits.shape)
    np.testing.assert_allclose(logits, bias, atol=1e-6)
    expected = apply(SMALL, variables, SOURCE, TARGET)
    np.testing.assert_array_equal(apply(module, variables, SOURCE, TARGET), expected)
