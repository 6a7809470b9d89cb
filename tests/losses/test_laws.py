"""What holds for every loss. A new one joins by a line in LOSSES."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from fdl import losses

PROGRAMS = 1030

RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(scale=2, size=(2, 3, 4))
NUMBERS = RANDOM.normal(scale=2, size=(2, 3, 4))
CLASSES = RANDOM.integers(4, size=(2, 3))
ANSWERS = RANDOM.integers(2, size=(2, 3, 4))
SHARES = RANDOM.dirichlet(np.ones(4), size=(2, 3))

LOSSES = {
    "absolute_error": (losses.absolute_error, LOGITS, NUMBERS),
    "binary_cross_entropy": (losses.binary_cross_entropy, LOGITS, ANSWERS),
    "binary_focal": (losses.binary_focal, LOGITS, ANSWERS),
    "crammer_singer": (losses.crammer_singer, LOGITS, CLASSES),
    "cross_entropy": (losses.cross_entropy, LOGITS, CLASSES),
    "distillation": (losses.distillation, LOGITS, NUMBERS),
    "everything at once": (
        partial(losses.cross_entropy, smoothing=0.1, z_loss=0.01, ignore=2),
        LOGITS,
        CLASSES,
    ),
    "commitment": (losses.commitment, LOGITS, NUMBERS),
    "focal": (losses.focal, LOGITS, CLASSES),
    "gaussian_kl": (losses.gaussian_kl, LOGITS, NUMBERS),
    "gaussian_nll": (losses.gaussian_nll, LOGITS[..., :2], NUMBERS[..., 0]),
    "hinge": (losses.hinge, LOGITS, ANSWERS),
    "huber": (losses.huber, LOGITS, NUMBERS),
    "kl_divergence": (losses.kl_divergence, LOGITS, SHARES),
    "log_cosh": (losses.log_cosh, LOGITS, NUMBERS),
    "poisson_nll": (losses.poisson_nll, LOGITS, ANSWERS),
    "quantile": (partial(losses.quantile, level=0.3), LOGITS, NUMBERS),
    "quantile_huber": (losses.quantile_huber, LOGITS, NUMBERS[..., :2]),
    "soft cross_entropy": (losses.cross_entropy, LOGITS, SHARES),
    "squared_error": (losses.squared_error, LOGITS, NUMBERS),
}
FRAMES = RANDOM.normal(size=(2, 5, 4))
OF_FRAMES = {
    "ctc": (losses.ctc, FRAMES, np.array([[1, 1], [2, 3]])),
    "pixel_nll": (losses.pixel_nll, FRAMES, np.arange(10).reshape(2, 5) % 4),
}


def cases(table):
    values = [pytest.param(*case, id=name) for name, case in table.items()]
    return pytest.mark.parametrize("loss, outputs, labels", values)


def test_every_loss_is_here():
    named = {name.split()[-1] for name in {**LOSSES, **OF_FRAMES}}
    others = {
        "bernoulli_nll",
        "bits_per_dimension",
        "check_labels",
        "ctc_greedy",
        "clipped_surrogate",
        "importance_weighted_elbo",
        "code_l1",
        "contractive",
        "dequantize",
        "kernels",
        "label_weights",
        "negative_elbo",
        "negative_sampling",
        "sparsity_kl",
    }
    others |= {"l1_penalty", "l2_penalty"}
    assert set(losses.__all__) - named == others


@cases(LOSSES)
@pytest.mark.some(8)
def test_there_is_one_number_for_each_example_whatever_the_axes(loss, outputs, labels):
    outputs = np.float32(outputs)
    whole = jax.jit(loss)(outputs, labels)
    assert whole.dtype == jnp.float32
    alone = jax.jit(jax.vmap(jax.vmap(loss)))(outputs, labels)
    np.testing.assert_allclose(whole, alone, rtol=1e-5, atol=1e-6)


@cases({**LOSSES, **OF_FRAMES})
@pytest.mark.some(8)
def test_half_precision_is_computed_in_float32(loss, outputs, labels):
    half = np.asarray(outputs).astype(jnp.bfloat16)

    @jax.jit
    def values_and_grad(half):
        grad = jax.grad(lambda x: loss(x, labels).sum())(half)
        return loss(half, labels), loss(half.astype(jnp.float32), labels), grad

    actual, expected, grad = values_and_grad(half)
    assert actual.dtype == jnp.float32
    np.testing.assert_allclose(actual, expected, rtol=1e-6)
    assert grad.dtype == jnp.bfloat16
    assert np.isfinite(np.float32(grad)).all()


@cases({**LOSSES, **OF_FRAMES})
@pytest.mark.some(10)
def test_gradients_equal_finite_differences_in_float64(loss, outputs, labels):
    with jax.enable_x64(True):
        outputs, labels = jnp.asarray(outputs, jnp.float64), jnp.asarray(labels)
        assert jax.eval_shape(loss, outputs, labels).dtype == jnp.float64
        check_grads(
            jax.jit(lambda x: loss(x, labels)), [outputs], 1, ["rev"], 1e-6, 1e-6
        )


INF = np.inf
SURROGATE = partial(losses.clipped_surrogate, clip=0.2)
# Loss, outputs, labels; the value and the slope of the first output, by the definitions
# in exact arithmetic.
EDGES = {
    "log_cosh, tiny": (losses.log_cosh, 1e-8, 0.0, 5e-17, 1e-8),
    "log_cosh, small": (losses.log_cosh, 1e-4, 0.0, 5e-9, 1e-4),
    "log_cosh, below one": (losses.log_cosh, 0.99, 0.0, 0.42618601, 0.75736232),
    "log_cosh, above one": (losses.log_cosh, -1.01, 0.0, 0.44141766, -0.76576202),
    "log_cosh, infinite": (losses.log_cosh, -INF, 0.0, INF, -1.0),
    "huber, small": (partial(losses.huber, delta=1e4), 1e-4, 0.0, 5e-9, 1e-4),
    "huber, infinite": (losses.huber, -INF, 0.0, INF, -1.0),
    "surrogate, good and far": (SURROGATE, 100.0, 2.0, -2.4, 0.0),
    "surrogate, good and infinite": (SURROGATE, INF, 2.0, -2.4, 0.0),
    "surrogate, bad and gone": (SURROGATE, -INF, -2.0, 1.6, 0.0),
    "surrogate, bad and far": (SURROGATE, 80.0, -2.0, 1.10812439e35, 1.10812439e35),
    "surrogate, neither": (SURROGATE, 100.0, 0.0, 0.0, 0.0),
    "a teacher that is sure": (
        losses.distillation,
        [-INF, 0.0],
        [-200.0, 0.0],
        0.0,
        0.0,
    ),
    "a negative that is certain": (losses.binary_cross_entropy, -INF, 0, 0.0, 0.0),
    "a positive that is certain": (losses.binary_cross_entropy, INF, 1, 0.0, 0.0),
    "a positive that is impossible": (losses.binary_cross_entropy, -INF, 1, INF, -1.0),
    "focal, right": (losses.focal, [20.0, 0.0], 0, 8.75651e-27, -2.62695e-26),
    "focal, wrong": (losses.focal, [1e10, 0.0], 1, 1e10, 1.0),
    "no event, rare": (losses.poisson_nll, -20.0, 0, 2.0611536e-9, 2.0611536e-9),
    "no event, impossible": (losses.poisson_nll, -INF, 0, 0.0, 0.0),
    "one event, impossible": (losses.poisson_nll, -INF, 1, INF, -1.0),
}


@pytest.mark.parametrize(
    "loss, outputs, labels, value, slope", EDGES.values(), ids=EDGES
)
def test_values_and_slopes_hold_at_the_edges(loss, outputs, labels, value, slope):
    outputs, labels = jnp.asarray(outputs), jnp.asarray(labels)
    actual, grad = jax.jit(jax.value_and_grad(loss))(outputs, labels)
    np.testing.assert_allclose(actual, value, rtol=1e-5)
    np.testing.assert_allclose(np.ravel(grad)[0], slope, rtol=1e-5)
