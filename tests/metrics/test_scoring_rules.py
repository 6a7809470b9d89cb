import functools

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn import metrics as sklearn

from fdl import metrics
from fdl.errors import UserError

PROGRAMS = 170

SCORES = np.array([0.1, 0.9, 0.4, 0.35, 0.8, 0.5, 0.5, 0.5])
LOGITS = np.log(SCORES / (1 - SCORES))
LABELS = np.array([0, 1, 1, 0, 1, 0, 0, 1])
both = pytest.mark.parametrize(
    "metric, reference",
    [
        (metrics.log_loss, sklearn.log_loss),
        (metrics.brier_score, sklearn.brier_score_loss),
    ],
)


@both
def test_losses_of_classes_equal_those_of_scikit_learn(cases, metric, reference):
    expected = [
        reference(
            labels,
            softmax(logits.astype(np.float64), axis=-1),
            labels=range(4),
            sample_weight=weights,
        )
        for logits, labels, weights in cases.rows()
    ]
    np.testing.assert_allclose(cases.of(metric), expected, rtol=2e-6, atol=1e-7)


@both
@pytest.mark.parametrize("logits_of_both", [False, True])
def test_losses_of_two_classes(yes_or_no, metric, reference, logits_of_both):
    def given(logits, *rest):
        if not logits_of_both:
            return metric(logits, *rest)
        return metric(jnp.stack([-logits / 2, logits / 2], axis=-1), *rest)

    known = {"labels": [0, 1]} if metric is metrics.log_loss else {"pos_label": 1}
    expected = [
        reference(labels, expit(logits.astype(np.float64)), sample_weight=mask, **known)
        for logits, labels, mask in yes_or_no.rows()
    ]
    np.testing.assert_allclose(yes_or_no.of(given), expected, rtol=2e-6)


def test_losses_of_several_labels_are_means_over_them(several_labels):
    columns = [
        several_labels._replace(
            logits=several_labels.logits[..., i], labels=several_labels.labels[..., i]
        )
        for i in range(several_labels.labels.shape[-1])
    ]
    for metric in (metrics.log_loss, metrics.brier_score):
        expected = np.mean([column.of(metric) for column in columns], axis=0)
        np.testing.assert_allclose(several_labels.of(metric), expected, rtol=2e-6)


def test_the_known_losses():
    brier = metrics.brier_score(LOGITS, LABELS).compute()
    np.testing.assert_allclose(brier, 0.1615625, rtol=1e-6)
    log_loss = metrics.log_loss(LOGITS, LABELS).compute()
    np.testing.assert_allclose(log_loss, 0.4825475, rtol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_the_log_loss_of_large_logits_is_finite(dtype):
    logits = jnp.array([[1e4, 0, 0], [0, 1e4, 0]], dtype)
    labels = jnp.array([0, 2])
    expected = float(logits[1, 1]) / 2
    assert metrics.log_loss(logits, labels).compute() == expected
    assert metrics.log_loss(logits[:, 1], jnp.array([1, 0])).compute() > 4e3


@pytest.mark.parametrize(
    "metric",
    [
        metrics.log_loss,
        metrics.brier_score,
        metrics.calibration_error,
        metrics.roc_auc,
        metrics.average_precision,
        metrics.exact.roc_auc,
        functools.partial(metrics.top_k_accuracy, k=1),
    ],
)
def test_decisions_have_no_probabilities(metric):
    with pytest.raises(UserError, match=r"dtype=int32|logits \[2\]"):
        metric(jnp.zeros(2, int), jnp.zeros(2, int))
