"""Denoising, sparse and contractive reconstruction beside NumPy in float64."""

from functools import partial

import flax.linen as nn
import jax
import numpy as np
import optax
import pytest
from scipy.special import entr, expit, rel_entr

import fdl
from fdl import models, objectives
from fdl.data.augment import gaussian_noise, masking_noise
from fdl.errors import UserError
from fdl.types import Model

IMAGES = np.random.default_rng(0).uniform(size=(4, 3, 2, 1)).astype(np.float32)
MASK = np.array([1, 0, 1, 1], np.float32)
KEPT = IMAGES[[0, 2, 3]].reshape(3, 6).astype(np.float64)
KEY = jax.random.key(1)
MODEL = models.functional(
    models.Autoencoder((), 5, code_activation=nn.sigmoid, input_shape=(3, 2, 1))
)
VARIABLES = jax.jit(MODEL.init)(KEY)
IDENTITY = Model(lambda key: {"params": {}}, lambda variables, x, **_: (x, {}))


def layers(x):
    """Codes and reconstructions of the network, and the encoder's weights."""
    params = jax.tree.map(lambda x: np.asarray(x, np.float64), VARIABLES["params"])
    encoder, decoder = (params[name]["mlp"]["head"] for name in ("encoder", "decoder"))
    codes = expit(x @ encoder["kernel"] + encoder["bias"])
    return codes, codes @ decoder["kernel"] + decoder["bias"], encoder["kernel"]


def measured(objective, batch, train):
    @partial(jax.jit, static_argnames="train")
    def run(variables, batch, train):
        loss, (state, found) = objective(variables, batch, KEY, train=train)
        return loss, state, {name: x.compute() for name, x in found.items()}

    loss, state, found = run(VARIABLES, batch, train)
    assert not state  # What the model records is no state of it.
    return loss, found


@pytest.mark.parametrize("target", [None, 0.1])
def test_a_sparse_code_costs_in_training_only(target):
    objective = objectives.sparse_reconstruction(MODEL, strength=0.3, target=target)
    batch = {"image": IMAGES, "mask": MASK}
    codes, restored, _ = layers(KEPT)
    error = ((restored - KEPT) ** 2).mean()
    means = codes.mean(axis=0)
    kl = (rel_entr(0.1, means) + rel_entr(0.9, 1 - means)).sum()
    penalty = 0.3 * (codes.sum(axis=1).mean() if target is None else kl)
    loss, found = measured(objective, batch, True)
    np.testing.assert_allclose(loss, error + penalty, rtol=1e-5)
    expected = {"loss": error, "activation": codes.mean(), "penalty": penalty}
    assert found == pytest.approx(expected, rel=1e-5)
    loss, found = measured(objective, batch, False)
    del expected["penalty"]
    assert (loss, found) == (pytest.approx(error), pytest.approx(expected, rel=1e-5))


@pytest.mark.parametrize("method", ["encode", "__call__"])
def test_the_jacobian_costs_in_training_only(method):
    objective = objectives.contractive_reconstruction(
        MODEL, strength=0.3, method=method
    )
    batch = {"image": IMAGES, "mask": MASK}
    codes, restored, kernel = layers(KEPT)
    jacobian = (codes * (1 - codes))[:, :, None] * kernel.T
    if method == "__call__":
        decoder = VARIABLES["params"]["decoder"]["mlp"]["head"]["kernel"]
        jacobian = np.asarray(decoder, np.float64).T @ jacobian
    norm = (jacobian**2).sum(axis=(1, 2)).mean()
    error = ((restored - KEPT) ** 2).mean()
    for train, expected in ((True, error + 0.3 * norm), (False, error)):
        loss, found = measured(objective, batch, train)
        np.testing.assert_allclose(loss, expected, rtol=1e-5)
        assert found == pytest.approx({"loss": error, "jacobian": norm}, rel=1e-5)


@pytest.mark.parametrize("evaluation", [False, True])
def test_noise_is_in_the_inputs_and_not_in_the_targets(evaluation):
    images = np.full((64, 20, 1, 1), 0.5, np.float32)
    objective = jax.jit(
        objectives.denoising_reconstruction(
            IDENTITY, gaussian_noise(0.2), evaluation=evaluation
        ),
        static_argnames="train",
    )
    for train in (True, False):
        loss, _ = objective({"params": {}}, {"image": images}, KEY, train=train)
        noise = 0.04 if train or evaluation else 0
        np.testing.assert_allclose(loss, noise, rtol=0.1)
        again, _ = objective({"params": {}}, {"image": images}, KEY, train=train)
        assert loss == again


def test_masked_elements_are_zero_and_the_others_as_they_were():
    images = np.random.default_rng(1).uniform(1, 2, (50, 40)).astype(np.float32)
    seen = np.asarray(jax.jit(masking_noise(0.3))(KEY, images))
    gone = seen == 0
    np.testing.assert_array_equal(seen[~gone], images[~gone])
    assert abs(gone.mean() - 0.3) < 0.03
    assert len({row.tobytes() for row in gone}) == 50  # Each example has its own.


@pytest.mark.parametrize(
    "make",
    [
        partial(objectives.sparse_reconstruction, strength=1.0),
        partial(objectives.sparse_reconstruction, strength=1.0, target=0.1),
        partial(objectives.contractive_reconstruction, strength=1.0),
        partial(objectives.denoising_reconstruction, corrupt=masking_noise(0.5)),
    ],
)
def test_where_nothing_counts_nothing_is_learnt(make):
    batch = {"image": IMAGES, "mask": np.zeros(4, np.float32)}
    grad = jax.jit(jax.grad(partial(make(MODEL), train=True), has_aux=True))
    for leaf in jax.tree.leaves(grad(VARIABLES, batch, KEY)[0]):
        np.testing.assert_array_equal(leaf, 0)


def test_what_is_missing_is_told():
    batch = {"image": IMAGES}
    objective = objectives.sparse_reconstruction(MODEL, strength=1.0, code="codes")
    with pytest.raises(
        UserError, match=r"code='codes': expected an intermediate.*code"
    ):
        jax.eval_shape(objective, VARIABLES, batch)
    noisy = objectives.denoising_reconstruction(IDENTITY, masking_noise(0.5))
    with pytest.raises(UserError, match="key=None: expected a key"):
        noisy({"params": {}}, batch, train=True)


@pytest.mark.slow
def test_hintons_deep_autoencoder_learns_digits_by_their_cross_entropy():
    """From random weights, where logistic layers stay at the mean image first."""
    train, test = (
        fdl.data.load("digits", part)["image"] / 16 for part in ("train", "test")
    )
    module = models.deep_autoencoder(input_shape=(8, 8, 1))
    model = models.functional(module)
    objective = objectives.reconstruction(model, loss=fdl.losses.binary_cross_entropy)
    learner = fdl.gradient_learner(model, objective, optax.adam(1e-3))
    batches = fdl.data.batches({"image": train.astype(np.float32)}, 128)
    state = fdl.train.run(learner, batches, num_steps=600, steps_per_call=50)
    batch = {"image": test.astype(np.float32)}
    loss, _ = jax.jit(objective)(learner.variables(state), batch)
    mean = np.clip(train.mean(axis=0), 1e-3, 1 - 1e-3)
    constant = -(test * np.log(mean) + (1 - test) * np.log(1 - mean)).mean()
    # The entropy of the pixels themselves: no reconstruction is better than they are.
    least = entr(test).mean() + entr(1 - test).mean()
    # Measured: 0.346, between 0.214 and 0.425 of the mean image.
    assert (loss - least) < 0.7 * (constant - least)
