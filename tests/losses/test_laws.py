"""What holds for every loss. A new one joins by a line in LOSSES."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from fdl import losses

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
    "focal": (losses.focal, LOGITS, CLASSES),
    "gaussian_nll": (losses.gaussian_nll, LOGITS[..., :2], NUMBERS[..., 0]),
    "hinge": (losses.hinge, LOGITS, ANSWERS),
    "huber": (losses.huber, LOGITS, NUMBERS),
    "kl_divergence": (losses.kl_divergence, LOGITS, SHARES),
    "log_cosh": (losses.log_cosh, LOGITS, NUMBERS),
    "poisson_nll": (losses.poisson_nll, LOGITS, ANSWERS),
    "quantile": (partial(losses.quantile, level=0.3), LOGITS, NUMBERS),
    "soft cross_entropy": (losses.cross_entropy, LOGITS, SHARES),
    "squared_error": (losses.squared_error, LOGITS, NUMBERS),
}
FRAMES = RANDOM.normal(size=(2, 5, 4))
OF_FRAMES = {"ctc": (losses.ctc, FRAMES, np.array([[1, 1], [2, 3]]))}


def test_every_loss_is_here():
    named = {name.split()[-1] for name in {**LOSSES, **OF_FRAMES}}
    others = {"check_labels", "clipped_surrogate", "kernels", "label_weights"}
    others |= {"l1_penalty", "l2_penalty"}
    assert set(losses.__all__) - named == others


def of_each(function, table):
    """``function(loss, outputs, labels)`` of all losses, compiled together."""

    @jax.jit
    def compute(arguments):
        return {name: function(table[name][0], *x) for name, x in arguments.items()}

    return compute({name: arguments for name, (_, *arguments) in table.items()})


def test_there_is_one_number_for_each_example_whatever_the_axes():
    def whole_and_alone(loss, outputs, labels):
        outputs = jnp.float32(outputs)
        return loss(outputs, labels), jax.vmap(jax.vmap(loss))(outputs, labels)

    for name, (whole, alone) in of_each(whole_and_alone, LOSSES).items():
        assert whole.dtype == jnp.float32, name
        np.testing.assert_allclose(whole, alone, 1e-5, 1e-6, err_msg=name)


def test_half_precision_is_computed_in_float32():
    def values_and_grad(loss, outputs, labels):
        half = jnp.asarray(outputs, jnp.bfloat16)
        grad = jax.grad(lambda x: loss(x, labels).sum())(half)
        return loss(half, labels), loss(half.astype(jnp.float32), labels), grad

    found = of_each(values_and_grad, {**LOSSES, **OF_FRAMES})
    for name, (actual, expected, grad) in found.items():
        assert actual.dtype == jnp.float32, name
        np.testing.assert_allclose(actual, expected, rtol=1e-6, err_msg=name)
        assert grad.dtype == jnp.bfloat16, name
        assert np.isfinite(np.float32(grad)).all(), name


def test_gradients_equal_finite_differences_in_float64():
    def slopes(loss, outputs, labels):
        """Along a random direction, of a random mixture of the losses."""
        values, pull = jax.vjp(lambda x: loss(x, labels), outputs)
        assert values.dtype == jnp.float64
        way, mixture = (
            jax.random.normal(jax.random.key(i), x.shape, jnp.float64)
            for i, x in enumerate((outputs, values))
        )
        steps = (loss(outputs + step * way, labels) for step in (1e-5, -1e-5))
        differences = jnp.subtract(*steps) / 2e-5
        return (pull(mixture)[0] * way).sum(), (differences * mixture).sum()

    with jax.enable_x64(True):
        found = of_each(slopes, {**LOSSES, **OF_FRAMES})
    for name, (actual, expected) in found.items():
        np.testing.assert_allclose(actual, expected, 1e-6, 1e-6, err_msg=name)


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


def test_values_and_slopes_hold_at_the_edges():
    table = {
        name: (loss, *map(np.asarray, x)) for name, (loss, *x, _, _) in EDGES.items()
    }

    def value_and_grad(loss, outputs, labels):
        return jax.value_and_grad(loss)(jnp.asarray(outputs, jnp.float32), labels)

    for name, (actual, grad) in of_each(value_and_grad, table).items():
        *_, value, slope = EDGES[name]
        np.testing.assert_allclose(actual, value, rtol=1e-5, err_msg=name)
        np.testing.assert_allclose(np.ravel(grad)[0], slope, rtol=1e-5, err_msg=name)
