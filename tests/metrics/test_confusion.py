import jax
import numpy as np
import pytest
from sklearn import metrics as sklearn

from fdl import metrics
from fdl.errors import UserError

CHOSEN = np.array([0, 0, 1, 1, 1, 0, 1, 3, 1, 0])
LABELS = np.array([0, 0, 0, 1, 1, 2, 2, 0, 1, 2])


def matrices(cases, function):
    def of(*case):
        return function(metrics.confusion_matrix(*case))

    return jax.jit(jax.vmap(of))(*cases)


def test_the_matrix_equals_that_of_scikit_learn(cases):
    expected = [
        sklearn.confusion_matrix(
            labels, logits.argmax(-1), labels=range(4), sample_weight=weights
        )
        for logits, labels, weights in cases.rows()
    ]
    actual = matrices(cases, lambda table: table.matrix())
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize(
    "over, name", [("actual", "true"), ("predicted", "pred"), ("all", "all")]
)
def test_shares_equal_those_of_scikit_learn(cases, over, name):
    expected = [
        sklearn.confusion_matrix(
            labels,
            logits.argmax(-1),
            labels=range(4),
            sample_weight=weights,
            normalize=name,
        )
        for logits, labels, weights in cases.rows()
    ]
    actual = matrices(cases, lambda table: table.normalized(over))
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_the_known_matrix_has_actual_classes_in_rows():
    table = metrics.confusion_matrix(CHOSEN, LABELS, num_classes=5)
    np.testing.assert_array_equal(
        table.counts.whole,
        [[2, 1, 0, 1, 0], [0, 3, 0, 0, 0], [2, 1, 0, 0, 0], [0] * 5, [0] * 5],
    )
    assert table.compute() == metrics.accuracy(CHOSEN, LABELS).compute() == 0.5


def test_a_share_of_something_else_is_an_error():
    table = metrics.confusion_matrix(CHOSEN, LABELS, num_classes=5)
    with pytest.raises(UserError, match="over='true': expected one of 'actual', 'all'"):
        table.normalized("true")
