"""Probes and clusters of embeddings beside scikit-learn."""

from functools import partial

import jax
import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.metrics.cluster import contingency_matrix
from sklearn.neighbors import KNeighborsClassifier

from fdl import evaluation, metrics, models
from fdl.data import preprocessing
from fdl.errors import UserError

RANDOM = np.random.default_rng(0)
LABELS = np.arange(90) % 3
POINTS = RANDOM.normal(size=(90, 2, 2)) + LABELS[:, None, None]
TRAIN, TEST = (POINTS[:60], LABELS[:60]), (POINTS[60:], LABELS[60:])


def flat(points):
    return points.reshape(len(points), -1)


def test_a_linear_probe_is_logistic_regression_of_standardised_embeddings():
    mean, std = flat(TRAIN[0]).mean(axis=0), flat(TRAIN[0]).std(axis=0)
    theirs = LogisticRegression(C=0.5, max_iter=5000)
    theirs.fit((flat(TRAIN[0]) - mean) / std, TRAIN[1])
    expected = theirs.predict((flat(TEST[0]) - mean) / std) == TEST[1]
    found = evaluation.linear_probe(*TRAIN, *TEST, l2=2.0)
    np.testing.assert_array_equal(found, expected)
    assert 0.5 < found.mean() < 1


@pytest.mark.parametrize("k", [1, 5])
def test_a_neighbour_probe_is_that_of_scikit_learn(k):
    theirs = KNeighborsClassifier(k).fit(flat(TRAIN[0]), TRAIN[1])
    found = evaluation.knn_probe(*TRAIN, *TEST, k=k)
    np.testing.assert_array_equal(found, theirs.predict(flat(TEST[0])) == TEST[1])


def test_the_interval_of_a_probe_is_that_of_its_accuracy():
    right = evaluation.linear_probe(*TRAIN, *TEST)
    found = evaluation.probe_interval(right, num_resamples=200)
    labels = np.ones(30, int)
    expected = metrics.bootstrap.interval(
        metrics.accuracy, right.astype(int), labels, num_resamples=200
    )
    assert found == expected and found.low < right.mean() < found.high


def test_held_out_examples_are_seen_by_no_fit():
    """Each is judged as it is alone."""
    probes = [
        evaluation.linear_probe,
        partial(evaluation.knn_probe, k=3),
    ]
    for probe in probes:
        whole = probe(*TRAIN, *TEST)
        alone = [probe(*TRAIN, TEST[0][[i]], TEST[1][[i]])[0] for i in range(4)]
        np.testing.assert_array_equal(whole[:4], alone)


def test_accuracy_against_labels_is_of_as_many_of_each_class():
    seen = []

    def probe(train, train_labels, embeddings, labels):
        seen.append(np.bincount(train_labels).tolist())
        assert len(np.unique(flat(train), axis=0)) == len(train)
        return np.arange(len(labels)) < len(train)

    curve = evaluation.label_curve(probe, *TRAIN, *TEST, per_class=(2, 5), num_draws=3)
    assert seen == [[2] * 3] * 3 + [[5] * 3] * 3
    assert {size: x.mean for size, x in curve.items()} == {2: 6 / 30, 5: 15 / 30}


def test_purity_is_the_share_of_the_most_frequent_classes():
    labels, clusters = RANDOM.integers(4, size=(2, 50))
    table = contingency_matrix(labels, clusters)
    found = evaluation.cluster_scores(labels, clusters * 7 - 3)
    expected = {
        "nmi": normalized_mutual_info_score(labels, clusters),
        "ari": adjusted_rand_score(labels, clusters),
        "purity": table.max(axis=0).sum() / 50,
    }
    assert found == pytest.approx(expected)


def test_clusters_are_fitted_to_training_embeddings():
    theirs = KMeans(3, n_init=10, random_state=2).fit(flat(TRAIN[0]))
    expected = normalized_mutual_info_score(TEST[1], theirs.predict(flat(TEST[0])))
    found = evaluation.k_means_scores(*TRAIN, *TEST, num_clusters=3, seed=2)
    assert found["nmi"] == pytest.approx(expected)
    blind = evaluation.k_means_scores(
        TRAIN[0], -TRAIN[1], *TEST, num_clusters=3, seed=2
    )
    assert found == blind


PIXELS = preprocessing.arrays(image=jax.ShapeDtypeStruct((2, 2), "float32"))
MODEL = models.functional(models.Autoencoder((), 3, input_shape=(2, 2)))
PARTS = [
    {"image": points.astype(np.float32), "label": labels}
    for points, labels in (TRAIN, TEST)
]


def test_measures_are_of_the_embeddings_of_both_parts():
    variables = jax.jit(MODEL.init)(jax.random.key(0))
    ability = evaluation.embedder(MODEL, PIXELS)
    embeddings = [
        evaluation.predict(ability, variables, {"image": part["image"]})["embedding"]
        for part in PARTS
    ]
    k_means = partial(evaluation.k_means_scores, num_clusters=3)
    measures = {"knn": evaluation.knn_probe, "k_means": k_means}
    found = evaluation.on_embeddings(ability, *PARTS, measures)(variables)
    arrays = embeddings[0], TRAIN[1], embeddings[1], TEST[1]
    scores = k_means(*arrays)
    expected = {"knn": evaluation.knn_probe(*arrays).mean()}
    expected |= {f"k_means_{name}": value for name, value in scores.items()}
    assert found == pytest.approx(expected)


def test_what_is_not_there_is_told():
    ability = evaluation.embedder(MODEL, PIXELS)
    with pytest.raises(UserError, match="no 'class' in the data"):
        evaluation.on_embeddings(ability, *PARTS, {}, labels="class")
    with pytest.raises(UserError, match="expected at most 20, the number of examples"):
        evaluation.label_curve(evaluation.knn_probe, *TRAIN, *TEST, per_class=(21,))
    with pytest.raises(UserError, match="k=61: expected 1 to 60"):
        evaluation.knn_probe(*TRAIN, *TEST, k=61)
    with pytest.raises(UserError, match="expected at least two classes"):
        evaluation.linear_probe(TRAIN[0], TRAIN[1] * 0, *TEST)
    with pytest.raises(UserError, match=r"held-out embeddings of shape \[30, 2, 1\]"):
        evaluation.knn_probe(*TRAIN, TEST[0][..., :1], TEST[1])
    with pytest.raises(UserError, match="expected both"):
        evaluation.purity([0, 1], [0])
