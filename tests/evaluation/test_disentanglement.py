import numpy as np
import pytest

from fdl.errors import UserError
from fdl.evaluation import mutual_information_gap

RANDOM = np.random.default_rng(0)
FACTORS = np.indices((4, 5, 2)).reshape(3, -1).T


def reference(latents, factors, num_bins):
    """The definition, with probabilities counted one by one."""

    def entropy(*columns):
        _, counts = np.unique(np.stack(columns), axis=1, return_counts=True)
        shares = counts / counts.sum()
        return -np.sum(shares * np.log(shares))

    low, high = latents.min(axis=0), latents.max(axis=0)
    bins = np.floor((latents - low) / (high - low) * num_bins)
    bins = np.minimum(bins, num_bins - 1).T
    gaps = []
    for factor in factors.T:
        h = entropy(factor)
        shared = sorted(h + entropy(row) - entropy(factor, row) for row in bins)
        gaps.append((shared[-1] - shared[-2]) / h)
    return np.mean(gaps)


@pytest.mark.parametrize("num_bins", [3, 20])
def test_it_is_its_definition(num_bins):
    mixed = FACTORS @ RANDOM.normal(size=(3, 4)) + RANDOM.normal(size=(40, 4))
    found = mutual_information_gap(mixed, FACTORS, num_bins=num_bins)
    np.testing.assert_allclose(found, reference(mixed, FACTORS, num_bins), atol=1e-12)


def test_a_latent_of_its_own_for_each_factor_is_best_in_any_order_and_scale():
    latents = np.concatenate(
        [FACTORS[:, ::-1] * [-3.0, 0.1, 7.0], np.zeros((40, 2))], 1
    )
    np.testing.assert_allclose(mutual_information_gap(latents, FACTORS), 1)
    twice = np.concatenate([latents, latents], axis=1)
    np.testing.assert_allclose(mutual_information_gap(twice, FACTORS), 0, atol=1e-12)


def test_what_has_no_gap_is_told():
    with pytest.raises(UserError, match=r"latents.shape=\[40, 1\]: expected \[N, 2 or"):
        mutual_information_gap(np.zeros((40, 1)), FACTORS)
    with pytest.raises(UserError, match=r"factors.shape=\[39, 3\]: expected \[40, K\]"):
        mutual_information_gap(np.zeros((40, 2)), FACTORS[1:])
    with pytest.raises(
        UserError, match=r"factors\[:, 0\]: expected values that differ"
    ):
        mutual_information_gap(np.zeros((40, 2)), 0 * FACTORS)
