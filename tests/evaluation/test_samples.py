"""Measures of samples beside slow definitions, SciPy and scikit-learn."""

import numpy as np
import pytest
from scipy.linalg import sqrtm
from scipy.stats import entropy
from sklearn.gaussian_process.kernels import RBF
from sklearn.neighbors import NearestNeighbors

from fdl import evaluation
from fdl.errors import UserError

RANDOM = np.random.default_rng(0)
REAL = RANDOM.normal(size=(30, 2, 2))
FAKE = RANDOM.normal(0.5, 2.0, size=(24, 2, 2))
X, Y = REAL.reshape(30, 4), FAKE.reshape(24, 4)


@pytest.mark.parametrize("bandwidth", [0.7, None])
def test_mmd_is_that_of_the_kernels_of_scikit_learn(bandwidth):
    both = np.concatenate([X, Y])
    distances = np.linalg.norm(both[:, None] - both[None], axis=-1)
    median = np.median([distances[i, j] for i in range(54) for j in range(i)])
    kernel = RBF(bandwidth or median)

    def within(x):
        gram = kernel(x)
        return (gram.sum() - np.trace(gram)) / (len(x) * (len(x) - 1))

    expected = within(X) + within(Y) - 2 * kernel(X, Y).mean()
    found = evaluation.mmd(REAL, FAKE, bandwidth=bandwidth)
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    np.testing.assert_allclose(evaluation.median_distance(REAL, FAKE), median)


def test_mmd_is_unbiased_and_its_floor_is_where_the_data_lie():
    real = np.random.default_rng(1).normal(size=(200, 2))
    floor = evaluation.real_against_real(evaluation.mmd, real, 50, num_draws=40)
    assert abs(floor.mean) < 3 * floor.std / np.sqrt(40) + 1e-3
    assert evaluation.mmd(real[:50], real[50:100] + 2) > 5 * floor.highest
    again = evaluation.real_against_real(evaluation.mmd, real, 50, num_draws=40)
    assert floor == again


@pytest.mark.parametrize("k", [1, 3])
def test_precision_and_recall_are_shares_within_balls_of_neighbours(k):
    def share(points, centres):
        nearest = NearestNeighbors(n_neighbors=k + 1).fit(centres)
        radii = nearest.kneighbors(centres)[0][:, k]
        inside = [
            any(np.linalg.norm(p - c) <= r for c, r in zip(centres, radii, strict=True))
            for p in points
        ]
        return np.mean(inside)

    found = evaluation.sample_precision_recall(REAL, FAKE, k=k)
    assert found == pytest.approx((share(Y, X), share(X, Y)))
    assert evaluation.sample_precision_recall(REAL, REAL, k=k) == (1, 1)
    collapsed = np.repeat(REAL[:1], 9, axis=0)
    assert evaluation.sample_precision_recall(REAL, collapsed, k=k) == (1, 1 / 30)


def test_the_nearest_training_example_is_that_of_scikit_learn():
    found = evaluation.nearest_examples(FAKE, REAL)
    nearest = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(X)
    distance, index = nearest.kneighbors(Y)
    np.testing.assert_array_equal(found.indices, index[:, 0])
    np.testing.assert_allclose(found.distances, distance[:, 0], atol=1e-12)
    copies = evaluation.nearest_examples(REAL[::-1] + 0, REAL)
    np.testing.assert_array_equal(copies.indices, np.arange(30)[::-1])
    np.testing.assert_array_equal(copies.distances, 0)


def test_entropies_of_classes_are_those_of_scipy():
    p = RANDOM.dirichlet(np.ones(5), size=40)
    p[0] = np.eye(5)[2]  # 0 log 0 is 0.
    found = evaluation.sample_classes(p.astype(np.float32))
    expected = p.max(1).mean(), entropy(p.mean(0)), entropy(p, axis=1).mean()
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_frechet_distance_is_that_of_a_matrix_root():
    root = sqrtm(np.cov(X.T) @ np.cov(Y.T)).real
    expected = ((X.mean(0) - Y.mean(0)) ** 2).sum()
    expected += np.trace(np.cov(X.T) + np.cov(Y.T) - 2 * root)
    found = evaluation.frechet_distance(REAL, FAKE)
    np.testing.assert_allclose(found, expected, rtol=1e-8)


def test_the_frechet_distance_of_equal_features_is_zero_also_of_rank_one():
    flat = X[:, :1] * np.ones(6)
    assert evaluation.frechet_distance(flat, flat) == pytest.approx(0, abs=1e-6)
    shifted = evaluation.frechet_distance(flat, flat + 2)
    assert shifted == pytest.approx(24, abs=1e-6)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: evaluation.mmd(X, X[:, :3]), r"\[30, 4\] and \[30, 3\]: expected po"),
        (lambda: evaluation.mmd(X, X[:1]), "expected at least 2 of each"),
        (lambda: evaluation.mmd(X, Y, bandwidth=0), "bandwidth=0: expected a positive"),
        (lambda: evaluation.mmd(X, X * np.nan), "expected finite numbers"),
        (lambda: evaluation.mmd(X[:, 0], X[:, 0]), "expected points of one shape"),
        (lambda: evaluation.sample_precision_recall(X, Y[:3]), "at least 4 of each"),
        (lambda: evaluation.sample_precision_recall(X, Y, k=0), "k=0: expected at le"),
        (lambda: evaluation.sample_classes(X), "expected rows .* sum to one"),
        (
            lambda: evaluation.real_against_real(evaluation.mmd, X, 16),
            "size=16: expected 1 to 15, half of the 30",
        ),
    ],
)
def test_what_cannot_be_measured_is_told(call, message):
    with pytest.raises(UserError, match=message):
        call()


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: evaluation.energy_distance([[np.nan]], [[1.0]]), "finite numbers"),
        (lambda: evaluation.sample_classes([[np.nan, np.nan]]), "expected rows"),
        (lambda: evaluation.mmd([[1.0]] * 9, [[1.0]] * 9), "the median distance is 0"),
        (
            lambda: evaluation.k_means_scores(
                np.eye(3), None, np.eye(3), [0, 1, 2], num_clusters=5
            ),
            "num_clusters=5: expected at most the 3 examples",
        ),
    ],
)
def test_what_has_no_measure_is_told(call, message):
    with pytest.raises(UserError, match=message):
        call()
