import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import softmax
from sklearn import metrics as sklearn

from fdl import metrics
from fdl.errors import UserError

PROGRAMS = 380

SCORES = np.array([0.1, 0.9, 0.4, 0.35, 0.8, 0.5, 0.5, 0.5])
LOGITS = np.log(SCORES / (1 - SCORES))
LABELS = np.array([0, 1, 1, 0, 1, 0, 0, 1])
binned_roc_auc, binned_average_precision = (
    jax.jit(metric, static_argnames=("average", "num_bins"))
    for metric in (metrics.roc_auc, metrics.average_precision)
)
exact_roc_auc, exact_average_precision = (
    jax.jit(metric, static_argnames="average")
    for metric in (metrics.exact.roc_auc, metrics.exact.average_precision)
)
BOTH = {
    "roc_auc": (binned_roc_auc, exact_roc_auc, sklearn.roc_auc_score),
    "average_precision": (
        binned_average_precision,
        exact_average_precision,
        sklearn.average_precision_score,
    ),
}
both = pytest.mark.parametrize("name", BOTH)


@functools.partial(jax.jit, static_argnums=0, static_argnames="average")
def value(name, *arrays, **options):
    """Of the binned metric."""
    return BOTH[name][0](*arrays, **options).compute()


def of_all(cases, function, **options):
    """A function of arrays of each case."""
    return jax.jit(jax.vmap(functools.partial(function, **options)))(*cases)


@both
def test_two_classes_equal_scikit_learn(yes_or_no, name):
    binned, exact, reference = BOTH[name]
    expected = [
        reference(labels, logits, sample_weight=weights)
        for logits, labels, weights in yes_or_no.rows()
    ]
    actual = of_all(yes_or_no, exact)
    np.testing.assert_allclose(actual, expected, atol=1e-6)
    # Logits are tenths: no bin has two.
    np.testing.assert_allclose(yes_or_no.of(binned), expected, atol=1e-6)


@both
@pytest.mark.parametrize(
    "average", [pytest.param("macro", marks=pytest.mark.slow), "weighted"]
)
def test_each_class_against_the_rest_equals_scikit_learn(cases, name, average):
    binned, exact, reference = BOTH[name]

    def expected(logits, labels, weights):
        scores = softmax(logits.astype(np.float64), axis=-1)
        more = {"sample_weight": weights, "average": average}
        if name == "average_precision":
            return reference(np.eye(4, dtype=int)[labels], scores, **more)
        return reference(labels, scores, labels=range(4), multi_class="ovr", **more)

    answers = [expected(*row) for row in cases.rows()]
    actual = of_all(cases, exact, average=average)
    np.testing.assert_allclose(actual, answers, atol=1e-6)

    def slack(*case):
        low, high = binned(*case).bounds()
        return (high - low).max()

    error = np.abs(cases.of(binned, average=average) - answers)
    assert not np.any(error > of_all(cases, slack) + 1e-6)  # NaN where not defined.


@both
@pytest.mark.parametrize(
    "average", ["macro", pytest.param("weighted", marks=pytest.mark.slow)]
)
def test_several_labels_equal_scikit_learn(several_labels, name, average):
    binned, exact, reference = BOTH[name]
    expected = [
        # Without any positive, scikit-learn says 0 where it otherwise says NaN.
        reference(labels, logits, sample_weight=weights, average=average)
        if labels.any() or name == "average_precision"
        else np.nan
        for logits, labels, weights in several_labels.rows()
    ]
    actual = of_all(several_labels, exact, average=average)
    np.testing.assert_allclose(actual, expected, atol=1e-6)
    actual = several_labels.of(binned, average=average)
    np.testing.assert_allclose(actual, expected, atol=1e-6)


def test_the_known_case_of_ties():
    for name, expected in [("roc_auc", 0.8125), ("average_precision", 0.8166667)]:
        _, exact, _ = BOTH[name]
        np.testing.assert_allclose(exact(SCORES, LABELS), expected, rtol=1e-6)
        np.testing.assert_allclose(value(name, LOGITS, LABELS), expected, rtol=1e-6)


@functools.partial(jax.jit, static_argnums=(0, 1))
@functools.partial(jax.vmap, in_axes=(None, None, 0, 0))
def bounded(name, num_bins, logits, labels):
    """Lower and upper bound, the binned metric between them, and the exact one."""
    binned, exact, _ = BOTH[name]
    metric = binned(logits, labels, num_bins=num_bins)
    return *metric.bounds(), metric.compute(), exact(logits, labels)


@both
@pytest.mark.parametrize("num_bins", [1, 7, 256, 4096])
@pytest.mark.parametrize("scale", [0.01, 1, 30])
@pytest.mark.some(4)
def test_what_is_exact_lies_within_the_bounds(name, num_bins, scale):
    random = np.random.default_rng(0)
    labels = random.integers(2, size=(10, 200))
    logits = scale * (random.normal(size=labels.shape) + labels)
    found = bounded(name, num_bins, np.float32(logits), labels)
    low, high, *values = (np.reshape(x, 10) for x in found)
    for value in values:
        assert np.all((low - 1e-6 <= value) & (value <= high + 1e-6))
    if num_bins == 4096 and scale == 1:
        most = {"roc_auc": 4e-3, "average_precision": 2e-2}[name]
        assert np.all(high - low < most)


def test_two_logits_are_one_problem():
    logits = np.stack([-LOGITS / 2, LOGITS / 2], axis=-1)
    for name in BOTH:
        _, exact, _ = BOTH[name]
        expected = exact(LOGITS, LABELS)
        actual = value(name, logits, LABELS, average="binary")
        np.testing.assert_allclose(actual, expected, rtol=1e-6)
        actual = exact(logits, LABELS, average="binary")
        np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_curves_equal_those_of_scikit_learn():
    x, y, _ = sklearn.roc_curve(LABELS, LOGITS, drop_intermediate=False)
    points = np.transpose([x, y])
    actual = np.unique(np.stack(binned_roc_auc(LOGITS, LABELS).curve())[:, 0].T, axis=0)
    np.testing.assert_allclose(actual, points, rtol=1e-6)
    precision, recall, _ = sklearn.precision_recall_curve(LABELS, LOGITS)
    found = np.stack(binned_average_precision(LOGITS, LABELS).curve())[:, 0].T
    expected = np.unique(np.transpose([recall, precision]), axis=0)
    actual = np.unique(found.round(6), axis=0)
    np.testing.assert_allclose(actual, expected, atol=1e-6)


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_only_cannot_be_ranked(label):
    labels = np.full(8, label)
    assert np.isnan(value("roc_auc", LOGITS, labels))
    assert np.isnan(exact_roc_auc(LOGITS, labels))
    for precision in (
        value("average_precision", LOGITS, labels),
        exact_average_precision(LOGITS, labels),
    ):
        assert precision == label == sklearn.average_precision_score(labels, LOGITS)


@both
def test_nothing_has_no_order(name):
    mask = np.zeros(8)
    assert np.isnan(value(name, LOGITS, LABELS, mask))
    assert np.isnan(BOTH[name][1](LOGITS, LABELS, mask))


@both
def test_very_large_logits_keep_their_order_up_to_the_last_bin(name):
    _, exact, _ = BOTH[name]
    logits = np.array([-np.inf, -1e38, -20, 20, 21, 9000, 1e30, np.inf])
    actual = value(name, logits, LABELS)
    merged = np.array([-2e4, -2e4, -20, 20, 21, 9000, 2e4, 2e4])
    np.testing.assert_allclose(actual, exact(merged, LABELS), rtol=1e-6)


def test_sure_probabilities_are_told_apart():
    logits = np.array([[40.0, 0], [41.0, 0], [42.0, 0], [43.0, 0]])
    labels = np.array([0, 1, 0, 1])
    expected = exact_roc_auc(-logits[:, 0], labels)
    for average in ("macro", "binary"):
        actual = exact_roc_auc(logits, labels, average=average)
        np.testing.assert_allclose(actual, expected, rtol=1e-6)


@both
@pytest.mark.parametrize(
    "options, message",
    [
        ({"average": "binary"}, "average='binary': expected two classes, not 3"),
        ({"average": "micro"}, "average='micro': expected one of .* 'macro'"),
    ],
)
def test_an_average_that_there_is_not_is_an_error(name, options, message):
    for metric in BOTH[name][:2]:
        with pytest.raises(UserError, match=message):
            metric(jnp.zeros((5, 3)), jnp.zeros(5, int), **options)


@both
def test_no_bins_are_an_error(name):
    with pytest.raises(UserError, match="num_bins=0: expected"):
        BOTH[name][0](LOGITS, LABELS, num_bins=0)
