"""Disentanglement of latents: whether each factor of the data has one of its own."""

import numpy as np

from fdl.errors import UserError


def mutual_information_gap(
    latents: np.ndarray, factors: np.ndarray, *, num_bins: int = 20
) -> float:
    """Mutual information gap (MIG), mean over factors of (I₁ − I₂) / H.

    I₁ and I₂ are the largest and the second largest mutual information of a latent with
    the factor, whose entropy is H. It is 1 if each factor determines one latent and is
    determined by it alone, and near 0 if none stands out, as of rotated latents.

    Args:
      latents: Latents, such as posterior means, float [N, L], with L at least 2; each
        is divided into bins of equal width.
      factors: Factors that the examples are made of, class indices, int [N, K].
      num_bins: Number of bins of a latent.

    Returns:
      The gap, in [0, 1].

    Raises:
      UserError: There are fewer than two latents, the numbers of examples differ, or a
        factor is constant.

    Example:
      >>> factors = np.indices((4, 4)).reshape(2, -1).T
      >>> mutual_information_gap(factors * 1.0, factors)
      1.0
      >>> rotated = factors @ np.array([[1.0, 1.0], [1.0, -1.0]])
      >>> round(mutual_information_gap(rotated, factors), 6)
      0.0

    References:
      Chen et al., `Isolating Sources of Disentanglement in Variational Autoencoders
      <https://arxiv.org/abs/1802.04942>`_, 2018; of binned means as by Locatello et
      al., `Challenging Common Assumptions in the Unsupervised Learning of Disentangled
      Representations <https://arxiv.org/abs/1811.12359>`_, 2019.
    """
    # Imported late: scikit-learn takes seconds.
    from sklearn.metrics import mutual_info_score

    latents, factors = np.asarray(latents), np.asarray(factors)
    if latents.ndim != 2 or latents.shape[1] < 2:
        raise UserError(f"latents.shape={list(latents.shape)}: expected [N, 2 or more]")
    if factors.ndim != 2 or len(factors) != len(latents):
        raise UserError(
            f"factors.shape={list(factors.shape)}: expected [{len(latents)}, K], as "
            "many examples as there are latents"
        )
    binned = [
        np.digitize(row, np.histogram_bin_edges(row, num_bins)[1:-1])
        for row in latents.T
    ]
    gaps = []
    for i, factor in enumerate(factors.T):
        entropy = mutual_info_score(factor, factor)
        if not entropy > 0:
            raise UserError(f"factors[:, {i}]: expected values that differ")
        information = sorted(mutual_info_score(factor, row) for row in binned)
        gaps.append((information[-1] - information[-2]) / entropy)
    return float(np.mean(gaps))
