import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax, rel_entr, softmax

from fdl import losses
from fdl.errors import UserError

PROGRAMS = 120

RANDOM = np.random.default_rng(0)
LOGITS, TEACHER = RANDOM.normal(scale=2, size=(2, 5, 4)).astype(np.float32)
TARGETS = RANDOM.dirichlet(np.ones(4), size=5).astype(np.float32)
kl_divergence = jax.jit(losses.kl_divergence)
distillation = jax.jit(losses.distillation, static_argnames="temperature")
cross_entropy = jax.jit(losses.cross_entropy)


def test_kl_divergence_is_scipys_relative_entropy():
    log_q = log_softmax(LOGITS.astype(np.float64), axis=-1)
    expected = rel_entr(TARGETS.astype(np.float64), np.exp(log_q)).sum(-1)
    actual = jax.jit(losses.kl_divergence)(log_q.astype(np.float32), TARGETS)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-6)


def test_it_is_the_cross_entropy_without_the_entropy():
    entropy = -(TARGETS * np.log(TARGETS)).sum(-1)
    expected = np.asarray(cross_entropy(LOGITS, TARGETS)) - entropy
    actual = kl_divergence(log_softmax(LOGITS, axis=-1), TARGETS)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "log_q, p, expected",
    [
        ([-jnp.inf, 0.0], [0.0, 1.0], 0.0),
        ([-1e4, 0.0], [0.0, 1.0], 0.0),
        ([-1e4, 0.0], [1.0, 0.0], 1e4),
        ([-jnp.inf, 0.0], [0.5, 0.5], jnp.inf),
    ],
)
def test_what_cannot_happen_does_not_matter(log_q, p, expected):
    log_q, p = np.array(log_q), np.array(p)
    loss, grad = jax.jit(jax.value_and_grad(losses.kl_divergence))(log_q, p)
    np.testing.assert_allclose(loss, expected)
    np.testing.assert_allclose(grad, -p)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_distillation_is_its_definition(temperature):
    student = softmax(LOGITS.astype(np.float64) / temperature, axis=-1)
    teacher = softmax(TEACHER.astype(np.float64) / temperature, axis=-1)
    expected = temperature**2 * rel_entr(teacher, student).sum(-1)
    actual = distillation(LOGITS, TEACHER, temperature=temperature)
    np.testing.assert_allclose(actual, expected, rtol=1e-4)


def test_hot_teachers_ask_for_their_logits():
    """For T → ∞ the gradient is that of ½ Σ (z − v)² / C, of centred logits."""

    @jax.jit
    @jax.grad
    def gradient(logits):
        return losses.distillation(logits, TEACHER, temperature=1e3).sum()

    grad = gradient(LOGITS)
    centred = LOGITS - TEACHER - (LOGITS - TEACHER).mean(-1, keepdims=True)
    np.testing.assert_allclose(grad, centred / 4, rtol=2e-2, atol=2e-3)


def test_distillation_is_stable_with_large_logits_and_classes_ruled_out():
    student = np.array([1e4, -np.inf, 0.0])
    teacher = np.array([0.0, -np.inf, 1e4])
    value_and_grad = jax.value_and_grad(losses.distillation, argnums=(0, 1))
    loss, grads = jax.jit(value_and_grad)(student, teacher)
    assert loss == 1e4
    np.testing.assert_array_equal(grads[0], [1, 0, -1])
    np.testing.assert_array_equal(grads[1], [0, 0, 0])


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_temperatures_are_positive(temperature):
    with pytest.raises(ValueError, match="temperature"):
        distillation(LOGITS, TEACHER, temperature=temperature)


@pytest.mark.parametrize("loss", [losses.kl_divergence, losses.distillation])
def test_shapes_that_differ_are_not_broadcast(loss):
    with pytest.raises(UserError, match=r"\]: expected "):
        loss(jnp.zeros((2, 3)), jnp.zeros((1, 3)))
