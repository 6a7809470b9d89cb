from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fdl
from fdl import data, evaluation, experiment, models, objectives
from fdl.data import preprocessing
from fdl.errors import UserError
from fdl.experiment.unsupervised_tasks import check_probabilities
from fdl.types import Model

PROGRAMS = 70

TAGS = np.array([[1, 0, 2, -1], [2, 2, -1, -1]])
# One of five tags is wrong, and so one of two texts.
OUTPUTS = np.eye(3, dtype=np.float32)[np.array([[1, 0, 2, 0], [2, 1, 0, 0]])]
MODEL = Model(lambda key: {"params": {}}, lambda variables, x, **_: (x, {}))


def test_tags_that_are_padding_do_not_count():
    task = experiment.tagging(classes=["noun", "verb", "other"], pad_token=0)
    objective = task.objective(MODEL, inputs="tokens")

    @jax.jit
    def measured(batch):
        _, (_, found) = objective({}, batch)
        return {name: metric.compute() for name, metric in found.items()}

    found = measured({"tokens": jnp.asarray(OUTPUTS), "tags": TAGS})
    nats = np.log(2 + np.e) - np.array([1, 1, 1, 1, 0])
    np.testing.assert_allclose(found["loss"], nats.mean(), rtol=1e-6)
    np.testing.assert_allclose(found["accuracy"], 4 / 5, rtol=1e-6)
    np.testing.assert_allclose(found["exact_match"], 1 / 2, rtol=1e-6)


def test_tags_have_outputs_for_them():
    check = experiment.tagging().check
    check(3, {"tags": TAGS}, "train")
    with pytest.raises(UserError, match="train, row 1: tags=2: expected 0 to 1, as"):
        check(2, {"tags": TAGS}, "train")


CONFIG = fdl.config.base()
CONFIG.update({"num_epochs": 1, "batch_size": 4, "optimizer": {}})
IMAGES = np.random.default_rng(0).integers(2, size=(6, 2, 2, 1)).astype(np.uint8)


def autoencoder(task=None, *, train=IMAGES, white=1):
    parts = ({"image": images} for images in (train, IMAGES, IMAGES))
    return experiment.supervised(
        CONFIG,
        data.Splits(*parts),
        data.preprocessing.images((2, 2, 1), white=white),
        models.VAE((3,), latent_size=2, input_shape=(2, 2, 1)),
        task or experiment.variational(),
    )


def test_what_a_vae_can_be_asked_for():
    made = autoencoder()
    variables = jax.jit(made.model.init)(jax.random.key(0))
    asked = {
        "sample": {"temperature": np.zeros(1, np.float32)},
        "embed": {"image": IMAGES},
        "decode": {"embedding": np.zeros((1, 2), np.float32)},
        "reconstruct": {"image": IMAGES},
    }
    found = {
        name: fdl.evaluation.predict(ability, variables, asked[name])
        for name, ability in made.abilities.items()
    }
    (mean, _), _ = made.model.apply(variables, IMAGES * 1.0, method="encode")
    np.testing.assert_allclose(found["embed"]["embedding"], mean, atol=1e-6)

    def decode(latents):
        logits, _ = made.model.apply(variables, latents, method="decode")
        return 1 / (1 + np.exp(-np.asarray(logits)))

    restored = found["reconstruct"]["reconstruction"]
    np.testing.assert_allclose(restored, decode(mean), atol=1e-6)
    # A temperature of zero is the mean of the prior.
    middle = decode(np.zeros((1, 2), np.float32))
    np.testing.assert_allclose(found["decode"]["sample"], middle, atol=1e-6)
    np.testing.assert_allclose(found["sample"]["sample"], middle, atol=1e-6)


@pytest.mark.parametrize(
    "objective", [objectives.variational, objectives.importance_weighted]
)
def test_pixels_beyond_one_are_told_before_training(objective):
    task = experiment.variational(objective)
    wrong = IMAGES.copy()
    wrong[4, 1, 0, 0] = 5
    autoencoder(task, train=wrong, white=5)
    with pytest.raises(UserError, match=r"pixel=5\.0: expected 0 to 1, for a B"):
        autoencoder(task, train=wrong)


@pytest.mark.parametrize("value", [-0.5, np.nan])
def test_what_is_no_probability_is_told(value):
    with pytest.raises(UserError, match=f"test: pixel={value}: expected 0 to 1"):
        check_probabilities(np.array([0.5, value]), "test")


def test_the_log_likelihood_is_tested_beside_the_bound():
    made = experiment.with_log_likelihood(autoencoder(), num_samples=50)
    variables = jax.jit(made.model.init)(jax.random.key(0))
    found = made.test(variables)
    assert found["log_likelihood"] > -found["loss"] - 1
    expected = fdl.evaluation.active_units(
        made.model, made.examples.batches, preprocess=made.examples.preprocess
    )(variables)
    assert {"active_units": found["active_units"]} == expected
    assert set(made.evaluate(variables)) == {"loss", "reconstruction", "kl"}
    with pytest.raises(UserError, match="expected one with a test, examples and a mod"):
        experiment.with_log_likelihood(made._replace(test=None))


@pytest.mark.parametrize("logits", [False, True])
def test_an_autoencoder_embeds_decodes_and_reconstructs(logits):
    """Hinton's, narrower; decoded embeddings are the reconstructions."""
    module = models.deep_autoencoder(
        hidden_sizes=(6,), code_size=3, input_shape=(2, 2, 1)
    )
    model = models.functional(module)
    variables = jax.jit(model.init)(jax.random.key(0))
    images = np.random.default_rng(0).integers(17, size=(5, 2, 2, 1)).astype(np.uint8)
    task = experiment.reconstruction(logits=logits)
    pixels = preprocessing.images((2, 2, 1), white=16)
    found = {
        name: partial(evaluation.predict, make(model, pixels), variables)
        for name, make in task.abilities.items()
    }
    restored = found["reconstruct"]({"image": images})["reconstruction"]
    embedding = found["embed"]({"image": images})["embedding"]
    assert embedding.shape == (5, 3)
    decoded = found["decode"]({"embedding": embedding})["sample"]
    np.testing.assert_allclose(decoded, restored, rtol=1e-5, atol=1e-6)
    batch = {"image": jnp.asarray(images / 16)}
    loss, _ = jax.jit(task.objective(model, inputs="image"))(variables, batch)
    x, y = images / 16.0, restored.astype(np.float64)
    cross_entropy = -(x * np.log(y) + (1 - x) * np.log(1 - y)) if logits else None
    expected = cross_entropy.mean() if logits else ((x - y) ** 2).mean()
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_the_shape_that_is_decoded_is_that_of_an_example():
    with pytest.raises(UserError, match=r"input_shape=\(28, 28, 1\): expected \(2, 2"):
        experiment.variational().abilities["sample"](
            models.functional(models.VAE((3,), 2)),
            preprocessing.images((2, 2, 1), white=1),
        )


def test_examples_of_another_shape_than_the_preprocessing_are_told():
    images = {"image": np.zeros((20, 2, 2), np.uint8)}
    config = fdl.config.base()
    config.update({"num_epochs": 1, "batch_size": 4, "optimizer": {}})
    with pytest.raises(UserError, match=r"train: 'image' is \[2, 2\] in each example"):
        fdl.supervised(
            config,
            data.Splits(images, images, images),
            preprocessing.images((2, 2, 1), white=1),
            models.VAE((3,), latent_size=2, input_shape=(2, 2, 1)),
            experiment.variational(),
        )
