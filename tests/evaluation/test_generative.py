import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import evaluation, models
from fdl.data import preprocessing
from fdl.errors import UserError

IMAGES = np.random.default_rng(0).integers(0, 17, (5, 4, 4, 1)).astype(np.uint8)
PIXELS = preprocessing.images((4, 4, 1), white=16)
VAE = models.VAE(hidden_sizes=(8,), latent_size=3, input_shape=(4, 4, 1))
MODEL = models.functional(VAE)
VARIABLES = jax.jit(MODEL.init)(jax.random.key(0))
APPLY = jax.jit(MODEL.apply, static_argnames="method")


def test_the_embedding_is_the_first_output_of_the_encoder():
    mean, _ = APPLY(VARIABLES, IMAGES / 16.0, method="encode")[0]
    ability = evaluation.embedder(MODEL, PIXELS)
    found = evaluation.predict(ability, VARIABLES, {"image": IMAGES}, batch_size=2)
    np.testing.assert_allclose(found["embedding"], mean, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("logits", [True, False])
def test_decoded_embeddings_are_reconstructions(logits):
    latents = APPLY(VARIABLES, IMAGES / 16.0, method="encode")[0][0]
    decoder = evaluation.latent_decoder(MODEL, latent_size=3, logits=logits)
    inputs = {"embedding": np.asarray(latents)}
    decoded = evaluation.predict(decoder, VARIABLES, inputs)["sample"]
    reconstructor = evaluation.reconstructor(MODEL, PIXELS, logits=logits)
    found = evaluation.predict(reconstructor, VARIABLES, {"image": IMAGES})
    np.testing.assert_allclose(found["reconstruction"], decoded, rtol=1e-5, atol=1e-6)
    outputs = np.asarray(APPLY(VARIABLES, IMAGES / 16.0)[0].logits)
    expected = 1 / (1 + np.exp(-outputs)) if logits else outputs
    np.testing.assert_allclose(decoded, expected, rtol=1e-5, atol=1e-6)


def test_temperature_is_the_standard_deviation_of_the_latents():
    identity = MODEL._replace(apply=lambda variables, x, key, method: (x, {}))
    ability = evaluation.prior_sampler(identity, latent_size=2000)
    temperature = np.array([0.0, 0.5, 2.0], np.float32)
    found = evaluation.predict(ability, {}, {"temperature": temperature})["sample"]
    np.testing.assert_allclose(found.std(axis=1), temperature, rtol=0.05)


def test_a_sampler_that_draws_too_few_is_told():
    ability = evaluation.sampler(lambda variables, temperature, key: jnp.zeros(1))
    with pytest.raises(UserError, match="expected 2 samples, got 1"):
        evaluation.predict(ability, {}, {"temperature": np.ones(2, np.float32)})
