import numpy as np
import pytest
from sklearn import metrics as sklearn

from fdl import metrics
from fdl.errors import UserError


@pytest.mark.parametrize("weights", ["none", "linear", "quadratic"])
def test_kappa_equals_that_of_scikit_learn(cases, weights):
    expected = [
        sklearn.cohen_kappa_score(
            labels,
            logits.argmax(-1),
            labels=range(4),
            weights=None if weights == "none" else weights,
            sample_weight=mask,
        )
        for logits, labels, mask in cases.rows()
    ]
    actual = cases.of(metrics.cohen_kappa, weights=weights)
    np.testing.assert_allclose(actual, expected, atol=1e-6)
    assert np.isnan(expected).any()  # One class only, and nothing else chosen.


def test_the_known_kappa():
    chosen = np.array([0, 0, 1, 1, 1, 0, 1, 3, 1, 0])
    labels = np.array([0, 0, 0, 1, 1, 2, 2, 0, 1, 2])
    kappa = metrics.cohen_kappa(chosen, labels, num_classes=5).compute()
    np.testing.assert_allclose(kappa, 0.2753623, atol=1e-7)


def test_other_weights_are_an_error():
    with pytest.raises(UserError, match="weights='cubic': expected"):
        metrics.cohen_kappa(np.zeros((2, 3)), np.zeros(2, int), weights="cubic")
