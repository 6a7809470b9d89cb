"""Loss functions without reduction: one value per example, averaged by the caller."""

from fdl.losses.binary import binary_cross_entropy, binary_focal, hinge
from fdl.losses.classification import crammer_singer, cross_entropy, focal
from fdl.losses.clipped_surrogate import clipped_surrogate
from fdl.losses.codes import code_l1, contractive, sparsity_kl
from fdl.losses.ctc import ctc
from fdl.losses.ctc_decoding import ctc_greedy
from fdl.losses.dequantization import bits_per_dimension, dequantize
from fdl.losses.divergences import distillation, kl_divergence
from fdl.losses.elbo import (
    bernoulli_nll,
    gaussian_kl,
    importance_weighted_elbo,
    negative_elbo,
)
from fdl.losses.label_weights import check_labels, label_weights
from fdl.losses.likelihoods import gaussian_nll, poisson_nll
from fdl.losses.negative_sampling import negative_sampling
from fdl.losses.penalties import kernels, l1_penalty, l2_penalty
from fdl.losses.pixels import pixel_nll
from fdl.losses.regression import (
    absolute_error,
    huber,
    log_cosh,
    quantile,
    quantile_huber,
    squared_error,
)
from fdl.losses.vector_quantisation import commitment

__all__ = [
    "absolute_error",
    "bernoulli_nll",
    "binary_cross_entropy",
    "binary_focal",
    "bits_per_dimension",
    "check_labels",
    "clipped_surrogate",
    "code_l1",
    "commitment",
    "contractive",
    "crammer_singer",
    "cross_entropy",
    "ctc",
    "ctc_greedy",
    "dequantize",
    "distillation",
    "focal",
    "gaussian_kl",
    "gaussian_nll",
    "hinge",
    "huber",
    "importance_weighted_elbo",
    "kernels",
    "kl_divergence",
    "l1_penalty",
    "l2_penalty",
    "label_weights",
    "log_cosh",
    "negative_elbo",
    "negative_sampling",
    "pixel_nll",
    "poisson_nll",
    "quantile",
    "quantile_huber",
    "sparsity_kl",
    "squared_error",
]
