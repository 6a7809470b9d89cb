"""Samples seen by a classifier: classes, confidence, and a distance of features."""

from typing import Any, NamedTuple

import numpy as np

from fdl.errors import UserError
from fdl.evaluation.samples.points import two_samples


class SampleClasses(NamedTuple):
    """Samples in the eyes of a classifier; see `sample_classes`.

    Attributes:
      confidence: Mean probability of the most likely class.
      entropy: Entropy of the mean class probabilities, in nats; at most log C.
      uncertainty: Mean entropy of the class probabilities of a sample, in nats.
    """

    confidence: float
    entropy: float
    uncertainty: float


def sample_classes(probabilities: Any) -> SampleClasses:
    """Confidence of a classifier on samples, and the entropy of their classes.

    Good samples are each of a clear class, and of all classes: their confidence is that
    on real examples, and so is the entropy. The exponential of
    ``entropy - uncertainty`` is the inception score, of this classifier.

    Args:
      probabilities: Class probabilities of each sample, float [M, C], of a classifier
        that was trained on real examples.

    Raises:
      UserError: These are no probabilities.

    Example:
      >>> sample_classes([[1.0, 0.0], [0.0, 1.0]])
      SampleClasses(confidence=1.0, entropy=0.6931471805599453, uncertainty=0.0)

    References:
      Salimans et al., `Improved Techniques for Training GANs
      <https://arxiv.org/abs/1606.03498>`_, 2016, section 4.
    """
    p = np.asarray(probabilities, np.float64)
    if (
        p.ndim != 2
        or not p.size
        # So written, NaN does not pass.
        or not (p >= 0).all()
        or not (abs(p.sum(axis=1) - 1) <= 1e-3).all()
    ):
        raise UserError(
            f"probabilities of shape {[*p.shape]}: expected rows [M, C] that are not "
            "negative and sum to one"
        )
    # Imported late: SciPy takes a second.
    from scipy.special import entr

    return SampleClasses(
        confidence=float(p.max(axis=1).mean()),
        entropy=float(entr(p.mean(axis=0)).sum()),
        uncertainty=float(entr(p).sum(axis=1).mean()),
    )


def frechet_distance(x: Any, y: Any) -> float:
    """Fréchet distance of Gaussians, ‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½).

    The Gaussians have the means and covariances of two sets of features. It is the
    squared 2-Wasserstein distance of the Gaussians. With features of a network of one's
    own it is *not* the published Fréchet inception distance (FID), which is that of one
    Inception network with fixed weights and 50,000 samples: it compares only what was
    measured in the same features, with as many samples, as it is biased upwards by few.

    Args:
      x: Features of real examples, [N, D].
      y: Features of samples, [M, D].

    Raises:
      UserError: There are fewer than two of each, or their shapes differ.

    Example:
      >>> round(frechet_distance([[0.0], [2.0]], [[3.0], [7.0]]), 6)  # 4² + (√2 − √8)²
      18.0

    References:
      Heusel et al., `GANs Trained by a Two Time-Scale Update Rule Converge to a Local
      Nash Equilibrium <https://arxiv.org/abs/1706.08500>`_, 2017.
    """
    x, y = two_samples(x, y, at_least=2)
    first, second = (np.atleast_2d(np.cov(points, rowvar=False)) for points in (x, y))
    # tr (Σ₁ Σ₂)^½ is that of (Σ₁^½ Σ₂ Σ₁^½)^½, which is symmetric: its eigenvalues are
    # not negative, but for rounding, and no matrix root has to converge.
    values, vectors = np.linalg.eigh(first)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    common = np.linalg.eigvalsh(root @ second @ root)
    trace = np.trace(first) + np.trace(second)
    trace -= 2 * np.sqrt(np.clip(common, 0, None)).sum()
    return float(np.square(x.mean(axis=0) - y.mean(axis=0)).sum() + max(trace, 0.0))
