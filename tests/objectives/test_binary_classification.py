from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit
from sklearn import metrics as sklearn

from fdl import losses, metrics, objectives
from fdl.types import Model

PROGRAMS = 230

RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(size=(9, 4)).astype(np.float32)
ANSWERS = RANDOM.integers(2, size=(9, 4))
MASK = np.array([1, 1, 1, 1, 1, 1, 0, 0, 0], np.float32)

# What goes in comes out, times a parameter: so that a batch says its logits itself.
MODEL = Model(
    lambda key: {"params": {"kernel": jnp.ones(())}},
    lambda variables, x, key=None, train=False: (x * variables["params"]["kernel"], {}),
)
VARIABLES = MODEL.init(jax.random.key(0))


def measured(objective, **batch):
    loss, (_, watched) = jax.jit(objective)(VARIABLES, batch)
    return loss, {name: metric.compute() for name, metric in watched.items()}


@pytest.mark.parametrize(
    "outputs", [LOGITS[:, :1], LOGITS[:, 0]], ids=["column", "flat"]
)
@pytest.mark.parametrize("size", [9, 6])
def test_one_answer_for_each_example_equals_scikit_learn(outputs, size):
    batch = {"image": outputs, "label": ANSWERS[:, 0]}
    batch |= {} if size == 9 else {"mask": MASK}
    loss, watched = measured(objectives.binary_classification(MODEL), **batch)
    labels, logits = ANSWERS[:size, 0], LOGITS[:size, 0]
    expected = sklearn.log_loss(labels, expit(logits.astype(np.float64)))
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    expected = sklearn.accuracy_score(labels, logits > 0)
    np.testing.assert_allclose(watched["accuracy"], expected, rtol=1e-6)


@pytest.mark.parametrize("size", [9, 6])
def test_several_answers_for_each_example_equal_scikit_learn(size):
    batch = {"image": LOGITS, "label": ANSWERS}
    batch |= {} if size == 9 else {"mask": MASK}
    loss, watched = measured(objectives.binary_classification(MODEL), **batch)
    labels, logits = ANSWERS[:size], LOGITS[:size]
    probabilities = expit(logits.astype(np.float64)).ravel()
    expected = sklearn.log_loss(labels.ravel(), probabilities)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    expected = 1 - sklearn.hamming_loss(labels, logits > 0)
    np.testing.assert_allclose(watched["accuracy"], expected, rtol=1e-6)


@pytest.mark.parametrize("mask", [None, MASK])
def test_answers_that_are_not_known_do_not_count(mask):
    answers = np.where(RANDOM.uniform(size=(9, 4)) < 0.4, -1, ANSWERS)
    batch = {"image": LOGITS, "label": answers}
    batch |= {} if mask is None else {"mask": mask}
    objective = objectives.binary_classification(MODEL, ignore=-1)
    loss, watched = measured(objective, **batch)
    known = (answers >= 0) & (np.ones(9) if mask is None else mask)[:, None].astype(
        bool
    )
    expected = losses.binary_cross_entropy(LOGITS[known], answers[known]).mean()
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    expected = sklearn.accuracy_score(answers[known], LOGITS[known] > 0)
    np.testing.assert_allclose(watched["accuracy"], expected, rtol=1e-6)


def test_an_answer_that_is_none_is_seen():
    batch = {"image": LOGITS, "label": np.where(ANSWERS, 1, -1)}
    loss, watched = measured(objectives.binary_classification(MODEL), **batch)
    assert np.isnan([loss, watched["accuracy"]]).all()


@pytest.mark.parametrize(
    "loss",
    [
        losses.hinge,
        losses.binary_focal,
        partial(losses.binary_cross_entropy, positive_weight=(1.0, 2.0, 3.0, 4.0)),
    ],
)
def test_any_loss_may_be_learnt(loss):
    objective = objectives.binary_classification(MODEL, loss=loss)
    actual, _ = measured(objective, image=LOGITS, label=ANSWERS)
    np.testing.assert_allclose(actual, loss(LOGITS, ANSWERS).mean(), rtol=1e-6)


def test_probabilities_are_learnt_and_measured_by_whether_they_are_at_least_one_half():
    shares = RANDOM.uniform(size=(9, 4)).astype(np.float32)
    objective = objectives.binary_classification(MODEL)
    loss, watched = measured(objective, image=LOGITS, label=shares)
    expected = losses.binary_cross_entropy(LOGITS, shares).mean()
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    expected = np.mean((LOGITS >= 0) == (shares >= 0.5))
    np.testing.assert_allclose(watched["accuracy"], expected, rtol=1e-6)


def test_where_nothing_counts_nothing_is_learnt():
    objective = objectives.binary_classification(MODEL, ignore=-1)
    batch = {"image": LOGITS, "label": np.full((9, 4), -1)}
    (loss, _), grad = jax.value_and_grad(objective, has_aux=True)(VARIABLES, batch)
    assert (loss, grad["params"]["kernel"]) == (0, 0)


def test_any_metric_may_be_watched():
    watch = {"yes": lambda x, y, mask: metrics.mean((x > 0).astype(jnp.float32), mask)}
    objective = objectives.binary_classification(MODEL, metrics=watch)
    _, watched = measured(objective, image=LOGITS, label=ANSWERS)
    assert set(watched) == {"loss", "yes"}
    np.testing.assert_allclose(watched["yes"], np.mean(LOGITS > 0), rtol=1e-6)
