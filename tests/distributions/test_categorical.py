import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.distributions import categorical, mask_logits, multi_categorical
from fdl.errors import UserError

LOGITS = np.random.default_rng(0).normal(scale=3, size=(2, 3, 4)).astype(np.float32)
DISTRIBUTION = categorical()


def probabilities(logits):
    """The definition, in double precision."""
    weights = np.exp(logits.astype(np.float64))
    return weights / weights.sum(axis=-1, keepdims=True)


def test_log_prob_matches_its_definition():
    x = np.random.default_rng(1).integers(4, size=(2, 3))
    expected = np.log(np.take_along_axis(probabilities(LOGITS), x[..., None], -1))[
        ..., 0
    ]
    actual = jax.jit(DISTRIBUTION.log_prob)(LOGITS, x)
    chex.assert_trees_all_close(actual, expected, rtol=1e-5)


def test_entropy_matches_its_definition():
    p = probabilities(LOGITS)
    actual = jax.jit(DISTRIBUTION.entropy)(LOGITS)
    chex.assert_trees_all_close(actual, -(p * np.log(p)).sum(-1), rtol=1e-5)


def test_mode_is_the_most_probable_class():
    np.testing.assert_array_equal(DISTRIBUTION.mode(LOGITS), LOGITS.argmax(-1))


def test_samples_are_as_frequent_as_they_are_probable():
    logits = jnp.array([0.0, 1.0, 2.0])
    keys = jax.random.split(jax.random.key(0), 20_000)
    x = jax.jit(jax.vmap(lambda key: DISTRIBUTION.sample(logits, key)))(keys)
    frequency = np.bincount(x, minlength=3) / len(x)
    np.testing.assert_allclose(frequency, probabilities(np.array(logits)), atol=0.015)


def test_half_precision_is_computed_in_float32():
    """In bfloat16, a class of probability 0.001 would never be seen."""
    logits = jnp.log(jnp.array([0.9, 0.099, 0.001])).astype(jnp.bfloat16)
    keys = jax.random.split(jax.random.key(0), 20_000)
    x = jax.jit(jax.vmap(lambda key: DISTRIBUTION.sample(logits, key)))(keys)
    expected = probabilities(np.asarray(logits, np.float32))
    np.testing.assert_allclose(np.bincount(x, minlength=3) / 20_000, expected, 0.3)
    log_probs = jax.jit(jax.vmap(DISTRIBUTION.log_prob, (None, 0)))(
        logits, jnp.arange(3)
    )
    np.testing.assert_allclose(log_probs, np.log(expected), rtol=1e-5)


def test_what_is_no_class_has_no_probability():
    x = np.array([[-1, -4, 4], [100, 0, 3]])
    found = jax.jit(DISTRIBUTION.log_prob)(LOGITS, x)
    np.testing.assert_array_equal(np.isnan(found), (x < 0) | (x > 3))


def test_a_logit_of_minus_infinity_rules_a_class_out():
    logits = jnp.array([0.0, -jnp.inf, 0.0])
    entropy, gradient = jax.jit(jax.value_and_grad(DISTRIBUTION.entropy))(logits)
    chex.assert_trees_all_close((entropy, gradient), (jnp.log(2.0), jnp.zeros(3)))
    assert DISTRIBUTION.log_prob(logits, jnp.array(1)) == -jnp.inf
    keys = jax.random.split(jax.random.key(0), 100)
    assert not (jax.vmap(lambda key: DISTRIBUTION.sample(logits, key))(keys) == 1).any()


def test_half_precision_is_widened():
    logits = jnp.asarray(3 * np.random.default_rng(0).normal(size=1000), jnp.bfloat16)
    p = probabilities(np.asarray(logits, np.float32))
    found = (
        jax.jit(DISTRIBUTION.log_prob)(logits, jnp.array(7)),
        DISTRIBUTION.entropy(logits),
    )
    chex.assert_trees_all_close(
        found, (np.log(p[7]), -(p * np.log(p)).sum()), rtol=1e-5
    )
    chex.assert_type(found, jnp.float32)


def test_a_vector_of_numbers_is_as_likely_as_all_of_them_together():
    sizes, rng = (2, 3, 4), np.random.default_rng(3)
    logits = rng.normal(size=(5, 9)).astype(np.float32)
    x = rng.integers(sizes, size=(5, 3)).astype(np.int32)
    vector = multi_categorical(sizes)

    @jax.jit
    def found(logits, x):
        return vector.log_prob(logits, x), vector.entropy(logits), vector.mode(logits)

    parts = np.split(logits, [2, 5], axis=1)
    each = [probabilities(part) for part in parts]
    joint = np.einsum("ba,bc,bd->bacd", *each)  # All 24 vectors.
    log_prob = np.log([table[*row] for table, row in zip(joint, x, strict=True)])
    entropy = -(joint * np.log(joint)).sum((1, 2, 3))
    mode = np.stack([part.argmax(1) for part in parts], axis=1)
    chex.assert_trees_all_close(found(logits, x), (log_prob, entropy, mode), rtol=1e-5)

    keys = jax.random.split(jax.random.key(0), 20_000)
    drawn = jax.jit(jax.vmap(lambda key: vector.sample(logits[0], key)))(keys)
    counts, _ = np.histogramdd(np.asarray(drawn), [np.arange(n + 1) for n in sizes])
    np.testing.assert_allclose(counts / len(keys), joint[0], atol=0.015)


def test_numbers_of_values_have_to_fit():
    with pytest.raises(UserError, match=r"num_values=\(2, 0\): expected integers"):
        multi_categorical((2, 0))
    with pytest.raises(UserError, match="expected 5 of them, the sum of num_values"):
        multi_categorical((2, 3)).mode(jnp.zeros((1, 4)))


def test_masked_classes_are_never_taken_and_take_no_probability():
    valid = np.array([True, False, True, False])
    logits = mask_logits(LOGITS, np.broadcast_to(valid, LOGITS.shape))
    few = DISTRIBUTION.log_prob(LOGITS[..., valid], np.ones((2, 3), int))
    found, gradient = jax.jit(
        jax.value_and_grad(
            lambda x: DISTRIBUTION.log_prob(
                mask_logits(x, np.broadcast_to(valid, LOGITS.shape)),
                np.full((2, 3), 2),
            ).sum()
        )
    )(LOGITS)
    chex.assert_trees_all_close(found, few.sum(), rtol=1e-5)
    assert not gradient[..., ~valid].any() and np.isfinite(gradient).all()
    assert valid[DISTRIBUTION.mode(logits)].all()


def test_without_a_valid_class_logits_stay_as_they_are():
    none = np.zeros(LOGITS.shape, bool)
    np.testing.assert_array_equal(mask_logits(LOGITS, none), LOGITS)
