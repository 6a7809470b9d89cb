from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import metrics as sklearn

from fdl import losses, metrics, objectives
from fdl.errors import UserError
from fdl.types import Model

PROGRAMS = 790

RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(size=(8, 3)).astype(np.float32)
LABELS = RANDOM.integers(3, size=8)
WEIGHTS = np.array([0.5, 1.0, 3.0])

# What goes in comes out, times a parameter: so that a batch says its logits itself.
MODEL = Model(
    lambda key: {"params": {"kernel": jnp.ones(())}},
    lambda variables, x, key=None, train=False: (x * variables["params"]["kernel"], {}),
)
VARIABLES = MODEL.init(jax.random.key(0))
cross_entropy = jax.jit(losses.cross_entropy)


def measured(objective, **batch):
    @jax.jit
    def measure(batch):
        loss, (_, watched) = objective(VARIABLES, batch)
        return loss, {name: metric.compute() for name, metric in watched.items()}

    return measure(batch)


def slope(objective, **batch):
    gradient = jax.jit(jax.grad(lambda v, batch: objective(v, batch)[0]))
    return gradient(VARIABLES, batch)["params"]["kernel"]


@pytest.mark.parametrize(
    "loss",
    [losses.focal, losses.crammer_singer, partial(losses.cross_entropy, z_loss=1)],
)
def test_any_loss_may_be_learnt(loss):
    objective = objectives.classification(MODEL, loss=loss)
    actual, _ = measured(objective, image=LOGITS, label=LABELS)
    np.testing.assert_allclose(actual, jax.jit(loss)(LOGITS, LABELS).mean(), rtol=1e-6)


def test_class_weights_weigh_the_loss_and_not_the_accuracy():
    objective = objectives.classification(MODEL, class_weights=WEIGHTS)
    loss, watched = measured(objective, image=LOGITS, label=LABELS)
    values = cross_entropy(LOGITS, LABELS)
    np.testing.assert_allclose(
        loss, np.average(values, weights=WEIGHTS[LABELS]), rtol=1e-6
    )
    expected = sklearn.accuracy_score(LABELS, LOGITS.argmax(-1))
    np.testing.assert_allclose(watched["accuracy"], expected, rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_class_weights_are_relative_to_each_other(scale):
    one, other = (
        objectives.classification(MODEL, class_weights=weights)
        for weights in (WEIGHTS, scale * WEIGHTS)
    )
    batch = {"image": LOGITS, "label": LABELS}
    np.testing.assert_allclose(
        measured(one, **batch)[0], measured(other, **batch)[0], rtol=1e-6
    )


def test_class_weights_are_exact_over_uneven_batches():
    objective = objectives.classification(MODEL, class_weights=tuple(WEIGHTS))

    @jax.jit
    def merge(logits, labels):
        parts = [
            objective(VARIABLES, {"image": logits[some], "label": labels[some]})[1][1]
            for some in (slice(0, 1), slice(1, 6), slice(6, 8))
        ]
        return jax.tree.map(lambda *x: sum(x), *parts)["loss"].compute()

    merged = merge(LOGITS, LABELS)
    whole, _ = measured(objective, image=LOGITS, label=LABELS)
    np.testing.assert_allclose(merged, whole, rtol=1e-6)


@pytest.mark.parametrize(
    "class_weights, loss",
    [
        (None, losses.cross_entropy),
        (WEIGHTS, losses.focal),
        pytest.param(WEIGHTS, losses.cross_entropy, marks=pytest.mark.slow),
        pytest.param(None, losses.focal, marks=pytest.mark.slow),
    ],
)
def test_ignored_and_padded_labels_are_as_if_they_were_not_there(class_weights, loss):
    labels = np.array([0, 1, 2, -100, 1, 0, 2, 77])
    mask = np.array([1, 1, 1, 1, 1, 0, 1, 0], np.float32)
    there = np.array([0, 1, 2, 4, 6])
    objective = objectives.classification(
        MODEL, loss=loss, class_weights=class_weights, ignore=-100
    )
    padded = {"image": LOGITS, "label": labels, "mask": mask}
    alone = {"image": LOGITS[there], "label": labels[there]}
    for one, other in zip(
        jax.tree.leaves(measured(objective, **padded)),
        jax.tree.leaves(measured(objective, **alone)),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, rtol=1e-6)
    np.testing.assert_allclose(
        slope(objective, **padded), slope(objective, **alone), rtol=1e-5
    )


def test_losses_do_not_get_to_see_ignored_labels():
    """So that a loss whose gradient would be NaN spoils nothing."""

    def loss(logits, labels):
        return jnp.sqrt(labels.astype(jnp.float32)) * logits.sum(axis=-1)

    objective = objectives.classification(MODEL, loss=loss, ignore=-100)
    batch = {"image": LOGITS, "label": np.where(LABELS == 0, -100, LABELS)}
    assert np.isfinite(slope(objective, **batch))


def test_a_label_that_is_no_class_is_seen_with_weights_as_well():
    for class_weights in (None, WEIGHTS):
        objective = objectives.classification(MODEL, class_weights=class_weights)
        loss, watched = measured(objective, image=LOGITS, label=np.full(8, 3))
        assert np.isnan([loss, watched["loss"], watched["accuracy"]]).all()


@pytest.mark.parametrize(
    "batch", [{"label": np.full(8, -100)}, {"label": LABELS, "mask": np.zeros(8, "f")}]
)
def test_where_nothing_counts_nothing_is_learnt(batch):
    objective = objectives.classification(MODEL, ignore=-100)
    loss, watched = measured(objective, image=LOGITS, **batch)
    assert loss == 0
    assert slope(objective, image=LOGITS, **batch) == 0
    assert np.isnan([watched["loss"], watched["accuracy"]]).all()


@pytest.mark.parametrize("mask", [None, (1.0, 1.0, 0.0)])
def test_each_token_counts_the_same_and_padding_does_not(mask):
    logits = RANDOM.normal(size=(3, 4, 5)).astype(np.float32)
    labels = RANDOM.integers(5, size=(3, 4))
    labels[0, 1:] = labels[1, 3:] = -1
    batch = {"image": logits, "label": labels}
    if mask:
        batch["mask"] = np.array(mask, np.float32)
    counts = (labels >= 0) & (np.array(mask or [1, 1, 1])[:, None] > 0)
    loss, watched = measured(objectives.classification(MODEL, ignore=-1), **batch)
    expected = cross_entropy(logits[counts], labels[counts]).mean()
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    expected = sklearn.accuracy_score(labels[counts], logits[counts].argmax(-1))
    np.testing.assert_allclose(watched["accuracy"], expected, rtol=1e-6)


def test_distributions_are_learnt_and_measured_by_their_likeliest_class():
    shares = RANDOM.dirichlet(np.ones(3), size=8).astype(np.float32)
    objective = objectives.classification(MODEL, class_weights=WEIGHTS)
    loss, watched = measured(objective, image=LOGITS, label=shares)
    values = cross_entropy(LOGITS, shares)
    np.testing.assert_allclose(
        loss, np.average(values, weights=shares @ WEIGHTS), rtol=1e-6
    )
    expected = sklearn.accuracy_score(shares.argmax(-1), LOGITS.argmax(-1))
    np.testing.assert_allclose(watched["accuracy"], expected, rtol=1e-6)


def test_any_metric_may_be_watched():
    watch = {
        "top_2": partial(metrics.top_k_accuracy, k=2),
        "nll": lambda x, y, mask: metrics.mean(losses.cross_entropy(x, y), mask),
    }
    objective = objectives.classification(
        MODEL, loss=partial(losses.cross_entropy, smoothing=0.1), metrics=watch
    )
    loss, watched = measured(objective, image=LOGITS, label=LABELS)
    assert set(watched) == {"loss", "top_2", "nll"}
    expected = sklearn.top_k_accuracy_score(LABELS, LOGITS, k=2)
    np.testing.assert_allclose(watched["top_2"], expected, rtol=1e-6)
    expected = cross_entropy(LOGITS, LABELS).mean()
    np.testing.assert_allclose(watched["nll"], expected, rtol=1e-6)
    assert loss == watched["loss"] != expected


@pytest.mark.parametrize(
    "options, batch, message",
    [
        ({"metrics": {"loss": metrics.accuracy}}, {}, "'loss'.: expected another name"),
        ({"inputs": "imge"}, {}, "no 'imge' in a batch. Did you mean 'image'?"),
        ({"labels": "target"}, {}, "no 'target' in a batch"),
        ({}, {"mask": np.ones(3, "f")}, r"mask.shape=\[3\]: expected"),
        ({"ignore": 1}, {"mask": np.ones(3, "f")}, r"shape=\[3\]: expected \[8\]"),
        (
            {"ignore": 0},
            {"label": np.eye(3, dtype="f")[LABELS]},
            "ignore=0: expected None for labels as distributions",
        ),
        (
            {"loss": "focal"},
            {},
            r"^loss of type str: expected a function loss\(outputs",
        ),
        ({"class_weights": (1.0, 2.0)}, {}, r"len\(class_weights\)=2: expected"),
    ],
)
def test_mistakes_are_told_in_a_line(options, batch, message):
    with pytest.raises(UserError, match=message):
        objective = objectives.classification(MODEL, **options)
        objective(VARIABLES, {"image": LOGITS, "label": LABELS, **batch})
