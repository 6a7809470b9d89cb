import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import metrics
from fdl.errors import UserError
from fdl.metrics.error_rates import edit_distance

PROGRAMS = 60

PREDICTED = [
    "the cat sat",
    "",
    "a b c d e",
    "na\u00efve caf\u00e9",
    "x y",
    "hello world  again",
]
CORRECT = [
    "the cat sat down",
    "one two",
    "b c e f",
    "naive cafe\u0301",
    "x y",
    "hello word again",
]
# jiwer.wer and jiwer.cer of each pair, and of all.
WORDS = [1 / 4, 1, 3 / 4, 1, 0, 1 / 3]
CHARACTERS = [0.3125, 1, 4 / 7, 3 / 11, 0, 0.125]
OF_ALL = {"word_error_rate": 0.5294117647058824, "character_error_rate": 0.35}


@pytest.mark.parametrize(
    "name, each",
    [("word_error_rate", WORDS), ("character_error_rate", CHARACTERS)],
)
def test_rates_equal_those_of_jiwer(name, each):
    rate = getattr(metrics, name)
    found = rate(PREDICTED, CORRECT)
    np.testing.assert_allclose(found.compute(), OF_ALL[name], rtol=1e-6)
    # Texts of different numbers merge to all of them, not to a mean of rates.
    parts = [rate(PREDICTED[some], CORRECT[some]) for some in (slice(4), slice(4, 6))]
    merged = jax.tree.map(jnp.add, *parts)
    np.testing.assert_array_equal(merged, found)
    for i, expected in enumerate(each):
        one = rate(PREDICTED, CORRECT, np.arange(6) == i).compute()
        np.testing.assert_allclose(one, expected, rtol=1e-6)


def distance(one, other):
    """By its definition, the recursion over the last letters."""
    if not one or not other:
        return len(one) + len(other)
    substitution = distance(one[:-1], other[:-1]) + (one[-1] != other[-1])
    rest = distance(one[:-1], other), distance(one, other[:-1])
    return min(substitution, *(x + 1 for x in rest))


def test_the_edit_distance_is_the_least_number_of_edits():
    random = np.random.default_rng(0)
    one, other = random.integers(3, size=(2, 40, 5))
    lengths = random.integers(6, size=(2, 40))
    masks = np.arange(5) < lengths[..., None]
    found = edit_distance(*map(jnp.asarray, (one, other, *masks)))
    expected = [
        distance([*a[:m]], [*b[:n]])
        for a, b, m, n in zip(one, other, *lengths, strict=True)
    ]
    np.testing.assert_array_equal(found, expected)


def test_without_references_there_is_no_rate():
    assert np.isnan(metrics.word_error_rate([], []).compute())
    assert np.isnan(metrics.word_error_rate([""], [" "]).compute())
    assert metrics.word_error_rate(["a b"], [""]).total == 2


def test_there_is_a_reference_for_each_prediction():
    with pytest.raises(UserError, match=r"len\(predictions\)=1: expected 2, one for"):
        metrics.word_error_rate(["a"], ["a", "b"])
