import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import metrics
from fdl.errors import UserError

CODES = np.random.default_rng(0).integers(9, size=(12, 3, 2))
MASK = np.float32([1, 0, 1, 1, 0.5, 0, 1, 1, 1, 0, 1, 2])


@jax.jit
def measured(codes, mask):
    used = metrics.codes_used(codes, 10, mask)
    return used, metrics.code_perplexity(codes, 10, mask)


def expected(codes, mask):
    """Number of codes with a count, and the exponential of their entropy, by loops."""
    counts = np.zeros(10)
    for example, weight in zip(codes, mask, strict=True):
        for code in example.ravel():
            counts[code] += weight
    shares = counts[counts > 0] / counts.sum()
    return len(shares), np.exp(-(shares * np.log(shares)).sum())


@pytest.mark.parametrize("mask", [np.ones(12, np.float32), MASK])
def test_they_count_the_codes_of_all_examples(mask):
    found = [float(metric.compute()) for metric in measured(CODES, mask)]
    np.testing.assert_allclose(found, expected(CODES, mask), rtol=1e-6)


def test_uneven_batches_merge_to_the_whole():
    whole = measured(CODES, MASK)
    parts = [
        measured(CODES * (rows[:, None, None] > 0), MASK * rows)
        for rows in (np.arange(12) < 5, np.arange(12) >= 5)
    ]
    merged = jax.tree.map(lambda *x: sum(x), *parts)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), merged, whole
    )


def test_without_any_weight_no_code_is_used():
    used, perplexity = measured(CODES, np.zeros(12, np.float32))
    assert used.compute() == 0 and np.isnan(perplexity.compute())


def test_a_mask_of_another_length_is_told():
    with pytest.raises(UserError, match=r"mask.shape=\[5\]: expected one weight per"):
        metrics.codes_used(jnp.asarray(CODES), 10, jnp.ones(5))
