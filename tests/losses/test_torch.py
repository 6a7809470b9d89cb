"""The losses beside PyTorch's: its numbers always, itself with ``-m oracle``."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import gammaln

from fdl import losses

PROGRAMS = 330

RANDOM = np.random.RandomState(0)
LOGITS, OTHERS = RANDOM.normal(scale=2, size=(2, 6, 4)).astype(np.float32)
CLASSES = RANDOM.randint(4, size=6)
SOME = np.where(np.arange(6) == 2, -100, CLASSES)
ANSWERS = RANDOM.randint(2, size=(6, 4))
SHARES = (lambda x: x / x.sum(-1, keepdims=True))(RANDOM.uniform(size=(6, 4)))
SHARES = SHARES.astype(np.float32)
COUNTS = RANDOM.poisson(3, size=(6, 4))
CLASS_WEIGHTS = np.array([0.5, 1.0, 2.0, 4.0], np.float32)


def torchvision_focal(_, x, y):
    from torchvision.ops import sigmoid_focal_loss

    return sigmoid_focal_loss(x, y.float(), alpha=0.25, gamma=2.0)


# Name: ours, the labels, and what PyTorch's functions f compute beside it.
CASES = {
    "squared_error": (
        losses.squared_error,
        OTHERS,
        lambda f, x, y: f.mse_loss(x, y, reduction="none"),
    ),
    "absolute_error": (
        losses.absolute_error,
        OTHERS,
        lambda f, x, y: f.l1_loss(x, y, reduction="none"),
    ),
    "huber": (
        partial(losses.huber, delta=0.7),
        OTHERS,
        lambda f, x, y: f.huber_loss(x, y, reduction="none", delta=0.7),
    ),
    "huber, as smooth_l1": (
        lambda x, y: losses.huber(x, y, delta=0.7) / 0.7,
        OTHERS,
        lambda f, x, y: f.smooth_l1_loss(x, y, reduction="none", beta=0.7),
    ),
    "gaussian_nll": (
        lambda x, y: losses.gaussian_nll(x[:, :2], y[:, 0]),
        OTHERS,
        lambda f, x, y: f.gaussian_nll_loss(
            x[:, 0], y[:, 0], x[:, 1].exp(), full=True, reduction="none"
        ),
    ),
    "poisson_nll": (
        lambda x, y: losses.poisson_nll(x, y) - jnp.asarray(gammaln(COUNTS + 1), "f"),
        COUNTS,
        lambda f, x, y: f.poisson_nll_loss(x, y, reduction="none"),
    ),
    "cross_entropy": (
        losses.cross_entropy,
        CLASSES,
        lambda f, x, y: f.cross_entropy(x, y, reduction="none"),
    ),
    "cross_entropy, smoothed": (
        partial(losses.cross_entropy, smoothing=0.1),
        CLASSES,
        lambda f, x, y: f.cross_entropy(x, y, reduction="none", label_smoothing=0.1),
    ),
    "cross_entropy, some ignored": (
        partial(losses.cross_entropy, ignore=-100),
        SOME,
        lambda f, x, y: f.cross_entropy(x, y, reduction="none"),
    ),
    "cross_entropy, soft": (
        losses.cross_entropy,
        SHARES,
        lambda f, x, y: f.cross_entropy(x, y, reduction="none"),
    ),
    "cross_entropy, soft and smoothed": (
        partial(losses.cross_entropy, smoothing=0.1),
        SHARES,
        lambda f, x, y: f.cross_entropy(x, y, reduction="none", label_smoothing=0.1),
    ),
    "binary_cross_entropy": (
        losses.binary_cross_entropy,
        ANSWERS,
        lambda f, x, y: f.binary_cross_entropy_with_logits(
            x, y.float(), reduction="none"
        ),
    ),
    "binary_cross_entropy, weighted": (
        partial(losses.binary_cross_entropy, positive_weight=CLASS_WEIGHTS),
        SHARES,
        lambda f, x, y: f.binary_cross_entropy_with_logits(
            x, y, reduction="none", pos_weight=x.new_tensor(CLASS_WEIGHTS)
        ),
    ),
    "binary_focal": (losses.binary_focal, ANSWERS, torchvision_focal),
    "kl_divergence": (
        lambda x, y: losses.kl_divergence(jax.nn.log_softmax(x), y),
        SHARES,
        lambda f, x, y: f.kl_div(f.log_softmax(x, -1), y, reduction="none").sum(-1),
    ),
    "distillation": (
        partial(losses.distillation, temperature=3.0),
        OTHERS,
        lambda f, x, y: 9 * f.kl_div(
            f.log_softmax(x / 3, -1), f.softmax(y / 3, -1), reduction="none"
        ).sum(-1),
    ),
}  # fmt: skip
# What they give: the sum over the examples, and that of the squared gradient.
THEIRS = {
    "squared_error": (241.04434, 964.17737),
    "absolute_error": (66.327888, 24),
    "huber": (40.549984, 11.718307),
    "huber, as smooth_l1": (57.928551, 23.914913),
    "gaussian_nll": (30.365131, 448.50726),
    "poisson_nll": (189.71353, 10469.968),
    "cross_entropy": (10.786252, 4.3216949),
    "cross_entropy, smoothed": (11.187838, 3.6852241),
    "cross_entropy, some ignored": (10.570203, 4.2692409),
    "cross_entropy, soft": (16.2076, 2.5799026),
    "cross_entropy, soft and smoothed": (16.067051, 2.4819417),
    "binary_cross_entropy": (24.993797, 7.9682627),
    "binary_cross_entropy, weighted": (36.060226, 7.3834114),
    "binary_focal": (10.81143, 3.7414184),
    "kl_divergence": (8.9350376, 2.5799026),
    "distillation": (23.215504, 11.544654),
}


every_case = pytest.mark.parametrize("name", CASES)


def ours(name):
    loss, labels, _ = CASES[name]

    @jax.jit
    def value_and_grad(logits):
        grad = jax.grad(lambda x: loss(x, labels).sum())(logits)
        return loss(logits, labels), grad

    return jax.tree.map(np.asarray, value_and_grad(LOGITS))


@every_case
def test_losses_give_the_numbers_of_torch(name):
    values, grad = ours(name)
    actual = values.sum(), np.square(grad).sum()
    np.testing.assert_allclose(actual, THEIRS[name], rtol=1e-5)


@pytest.mark.oracle
@every_case
def test_losses_agree_with_torch(name, torch):
    _, labels, loss = CASES[name]
    x = torch.tensor(LOGITS, requires_grad=True)
    theirs = loss(torch.nn.functional, x, torch.tensor(labels))
    theirs.sum().backward()
    numbers = theirs.sum().item(), x.grad.square().sum().item()
    np.testing.assert_allclose(numbers, THEIRS[name], rtol=1e-6)
    values, grad = ours(name)
    np.testing.assert_allclose(values, theirs.detach(), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(grad, x.grad, rtol=1e-5, atol=1e-5)


@pytest.mark.oracle
@pytest.mark.parametrize("size", [1e4, -1e4])
def test_large_logits_agree_with_torch(size, torch):
    for name in ("cross_entropy", "cross_entropy, smoothed", "binary_cross_entropy"):
        loss, labels, reference = CASES[name]
        x = torch.tensor(size * LOGITS, requires_grad=True)
        theirs = reference(torch.nn.functional, x, torch.tensor(labels))
        theirs.sum().backward()
        ours = loss(size * LOGITS, labels)
        np.testing.assert_allclose(ours, theirs.detach(), rtol=1e-6)
        _, pullback = jax.vjp(partial(loss, labels=labels), jnp.asarray(size * LOGITS))
        (grad,) = pullback(jnp.ones_like(ours))
        np.testing.assert_allclose(grad, x.grad, atol=1e-5)
