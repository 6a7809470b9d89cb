import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import metrics as sklearn

from fdl import metrics
from fdl.errors import UserError
from fdl.types import Metric

PROGRAMS = 330

CLASSES = 4
AVERAGES = ["macro", "weighted", "micro"]
ZERO_DIVISIONS = [0.0, 1.0, math.nan]
SCORES = {
    "precision": metrics.precision,
    "recall": metrics.recall,
    "f1": metrics.f1,
    "f0.5": functools.partial(metrics.f_beta, beta=0.5),
    "f2": functools.partial(metrics.f_beta, beta=2),
}


def three_at_once(*arrays, **options):
    """Precision, recall and F1, as a metric of its own."""
    return Three(
        *(SCORES[n](*arrays, **options) for n in ["precision", "recall", "f1"])
    )


class Three(NamedTuple):
    precision: Metric
    recall: Metric
    f1: Metric

    def compute(self):
        return jnp.stack([metric.compute() for metric in self])


def reference(name, true, chosen, **options):
    beta = {"f0.5": 0.5, "f2": 2}.get(name, 1)
    values = sklearn.precision_recall_fscore_support(true, chosen, beta=beta, **options)
    return values[{"precision": 0, "recall": 1}.get(name, 2)]


QUICK = [  # Each of them with one score at least, and two with all averages.
    pytest.param(value, marks=[pytest.mark.slow] * (value == 1))
    for value in ZERO_DIVISIONS
]


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("zero_division", ZERO_DIVISIONS)
@pytest.mark.some(4)
def test_scores_of_classes_equal_those_of_scikit_learn(many_cases, name, zero_division):
    # All cases are one to scikit-learn, each with classes of its own.
    chosen, labels, weights = [], [], []
    for case, (logits, label, weight) in enumerate(many_cases.rows()):
        chosen.append(logits.argmax(-1) + CLASSES * case)
        labels.append(label + CLASSES * case)
        weights.append(weight)
    expected = reference(
        name,
        np.concatenate(labels),
        np.concatenate(chosen),
        average=None,
        zero_division=zero_division,
        labels=range(CLASSES * len(chosen)),
        sample_weight=np.concatenate(weights),
    )
    metric = functools.partial(SCORES[name], zero_division=zero_division)
    score = jax.jit(jax.vmap(lambda *case: metric(*case).per_class()))
    actual = score(*many_cases).reshape(-1)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("zero_division", QUICK)
@pytest.mark.parametrize("only_seen", [False, True])
@pytest.mark.some(4)
def test_averages_equal_those_of_scikit_learn(cases, average, zero_division, only_seen):
    options = {"average": average, "zero_division": zero_division}
    actual = cases.of(three_at_once, only_seen=only_seen, **options)
    known = {} if only_seen else {"labels": range(CLASSES)}
    expected = [
        sklearn.precision_recall_fscore_support(
            labels, logits.argmax(-1), sample_weight=weights, **options, **known
        )[:3]
        for logits, labels, weights in cases.rows()
    ]
    np.testing.assert_allclose(actual, expected, rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("average", ["binary", *AVERAGES])
@pytest.mark.some(2)
def test_one_logit_is_of_two_classes(yes_or_no, average):
    actual = yes_or_no.of(three_at_once, average=average)
    known = {} if average == "binary" else {"labels": [0, 1]}
    expected = [
        sklearn.precision_recall_fscore_support(
            labels,
            logits >= 0,
            sample_weight=weights,
            average=average,
            zero_division=0,
            **known,
        )[:3]
        for logits, labels, weights in yes_or_no.rows()
    ]
    np.testing.assert_allclose(actual, expected, rtol=2e-6)


@pytest.mark.parametrize("average", [*AVERAGES, "samples"])
@pytest.mark.parametrize("zero_division", QUICK)
@pytest.mark.some(3)
def test_scores_of_several_labels(several_labels, average, zero_division):
    options = {"average": average, "zero_division": zero_division}
    actual = several_labels.of(three_at_once, **options)
    expected = [
        sklearn.precision_recall_fscore_support(
            labels, logits >= 0, sample_weight=weights, **options
        )[:3]
        for logits, labels, weights in several_labels.rows()
    ]
    np.testing.assert_allclose(actual, expected, rtol=2e-6, atol=1e-7)


# Class 2 is never chosen rightly, 3 is never the label, 4 is neither.
CASE_A = (
    np.array([0, 0, 1, 1, 1, 0, 1, 3, 1, 0]),
    np.array([0, 0, 0, 1, 1, 2, 2, 0, 1, 2]),
)
NAN = math.nan
KNOWN = {
    0.0: [
        ("precision", [0.5, 0.6, 0, 0, 0], 0.22, 0.38),
        ("recall", [0.5, 1, 0, 0, 0], 0.3, 0.5),
        ("f1", [0.5, 0.75, 0, 0, 0], 0.25, 0.425),
    ],
    1.0: [
        ("precision", [0.5, 0.6, 1, 0, 1], 0.62, 0.68),
        ("recall", [0.5, 1, 0, 1, 1], 0.7, 0.5),
        ("f1", [0.5, 0.75, 0, 0, 1], 0.45, 0.425),
    ],
    NAN: [
        ("precision", [0.5, 0.6, NAN, 0, NAN], 0.366667, 0.542857),
        ("recall", [0.5, 1, 0, NAN, NAN], 0.5, 0.5),
        ("f1", [0.5, 0.75, 0, 0, NAN], 0.3125, 0.425),
    ],
}


@pytest.mark.parametrize("zero_division", KNOWN)
def test_the_known_case_of_classes_that_are_missing(zero_division):
    for name, per_class, macro, weighted in KNOWN[zero_division]:
        options = {"num_classes": 5, "zero_division": zero_division}
        metric = functools.partial(SCORES[name], *CASE_A, **options)
        np.testing.assert_allclose(metric().per_class(), per_class, rtol=1e-6)
        np.testing.assert_allclose(metric().compute(), macro, rtol=1e-6)
        actual = metric(average="weighted").compute()
        np.testing.assert_allclose(actual, weighted, rtol=1e-6)
        np.testing.assert_allclose(metric(average="micro").compute(), 0.5)
    np.testing.assert_array_equal(metric().support(), [4, 3, 3, 0, 0])


def test_the_known_case_where_only_what_is_seen_counts():
    for name, expected in [("precision", 0.275), ("recall", 0.375), ("f1", 0.3125)]:
        metric = SCORES[name](*CASE_A, num_classes=5, only_seen=True)
        np.testing.assert_allclose(metric.compute(), expected, rtol=1e-6)


def test_the_known_case_of_other_betas():
    for beta, expected in [(0.5, 0.2304348), (1, 0.25), (2, 0.2764706)]:
        metric = metrics.f_beta(*CASE_A, num_classes=5, beta=beta)
        np.testing.assert_allclose(metric.compute(), expected, rtol=1e-6)


def test_the_known_case_of_ties():
    scores = jnp.array([0.1, 0.9, 0.4, 0.35, 0.8, 0.5, 0.5, 0.5])
    logits, labels = jnp.log(scores / (1 - scores)), jnp.array([0, 1, 1, 0, 1, 0, 0, 1])
    for name, expected in [("precision", 0.6), ("recall", 0.75), ("f1", 2 / 3)]:
        metric = SCORES[name](logits, labels, average="binary")
        np.testing.assert_allclose(metric.compute(), expected, rtol=1e-6)


def test_the_known_case_where_all_predictions_are_negative():
    chosen, labels = np.zeros(3, int), np.array([1, 1, 0])
    for score in SCORES.values():
        metric = score(chosen, labels, num_classes=2, average="binary")
        assert metric.compute() == 0
    assert metrics.f1(chosen, labels, num_classes=2).compute() == 0.25
    weighted = metrics.f1(chosen, labels, num_classes=2, average="weighted")
    np.testing.assert_allclose(weighted.compute(), 1 / 6, rtol=1e-6)


def test_the_known_case_of_one_class_only_in_which_the_absent_class_counts():
    nothing = np.zeros(2, int)
    for score in SCORES.values():
        metric = score(nothing, nothing, num_classes=2)
        np.testing.assert_array_equal(metric.per_class(), [1, 0])
        assert metric.compute() == 0.5


def test_the_known_case_of_several_labels():
    labels = np.array([[1, 1, 0], [0, 1, 0], [1, 0, 1], [0, 0, 0]])
    chosen = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0]], bool)
    for average in ("micro", "macro", "weighted", "samples"):
        for name, score in SCORES.items():
            expected = reference(name, labels, chosen, average=average)
            actual = score(chosen, labels, average=average).compute()
            np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_the_mean_over_batches_is_not_the_score():
    random = np.random.default_rng(0)
    labels = random.integers(4, size=100)
    chosen = np.where(random.random(100) < 0.85, labels, random.integers(4, size=100))
    parts = [
        metrics.f1(chosen[i : i + 10], labels[i : i + 10], num_classes=4)
        for i in range(0, 100, 10)
    ]
    merged = jax.tree.map(lambda *leaves: sum(leaves), *parts).compute()
    expected = sklearn.f1_score(labels, chosen, average="macro")
    np.testing.assert_allclose(merged, expected, rtol=1e-6)
    mean = np.mean([part.compute() for part in parts])
    assert abs(mean - expected) > 0.03


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"average": "makro"}, "average='makro': expected one of .* 'macro'"),
        ({"average": "binary"}, "'binary': expected two classes, not 3 classes"),
        ({"average": "samples"}, "several labels per example"),
        ({"beta": -1.0}, "beta=-1.0: expected"),
    ],
)
def test_a_score_that_there_is_not_is_an_error(arguments, message):
    with pytest.raises(UserError, match=message):
        metrics.f_beta(jnp.zeros((5, 3)), jnp.zeros(5, int), **{"beta": 1, **arguments})
