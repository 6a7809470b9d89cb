import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import evaluation, losses, models
from fdl.errors import UserError
from fdl.generation import sample_pixels

SHAPE = (2, 2, 1)
MODELS = {
    "pixelcnn": models.PixelCNN(2, 6, 2, first_kernel_size=3, input_shape=SHAPE),
    "transformer": models.PixelTransformer(2, 1, 2, 8, input_shape=SHAPE),
}
IMAGES = np.array([*itertools.product([0, 1], repeat=4)]).reshape(16, *SHAPE)
every_model = pytest.mark.parametrize("name", MODELS)


def unlike_a_coin(name):
    """A model with its logits, of large weights: pixels depend on each other."""
    model = models.functional(MODELS[name])
    variables = jax.jit(model.init)(jax.random.key(1))
    leaves, structure = jax.tree.flatten(variables)
    random = np.random.RandomState(2)
    leaves = [jnp.asarray(random.normal(size=x.shape) * 0.7, x.dtype) for x in leaves]
    variables = jax.tree.unflatten(structure, leaves)
    return model, variables, jax.jit(model.apply)(variables, IMAGES)[0]


@every_model
def test_samples_have_the_exact_probabilities_of_all_images(name):
    model, variables, logits = unlike_a_coin(name)
    count = 4_000
    temperature = np.repeat(np.float32([1.0, 0.5, 0.0]), [count, count, 8])
    draw = jax.jit(lambda *arguments: sample_pixels(model, *arguments))
    drawn = np.asarray(draw(variables, temperature, jax.random.key(0)))
    index = drawn.reshape(-1, 4) @ [8, 4, 2, 1]
    wide = np.asarray(logits, np.float64).reshape(16, 4, 2)
    for t, part in ((1.0, index[:count]), (0.5, index[count : 2 * count])):
        scores = np.exp(wide / t)
        shares = scores / scores.sum(axis=-1, keepdims=True)
        of_pixels = np.take_along_axis(shares, IMAGES.reshape(16, 4, 1), axis=-1)
        exact = of_pixels.prod(axis=(1, 2))
        np.testing.assert_allclose(exact.sum(), 1.0, rtol=1e-6)
        assert exact.max() > 0.1 > 0.05 > exact.min()
        found = np.bincount(part, minlength=16) / count
        error = np.sqrt(exact * (1 - exact) / count)
        assert np.abs(found - exact).max() < 4.5 * error.max()
    greedy = index[2 * count :]
    assert (greedy == greedy[0]).all()
    best = wide[greedy[0]].argmax(axis=-1)
    np.testing.assert_array_equal(best, IMAGES[greedy[0]].reshape(4))


@every_model
def test_the_likelihoods_of_all_images_sum_to_one(name):
    _, _, logits = unlike_a_coin(name)
    nll = losses.pixel_nll(logits, jnp.asarray(IMAGES))
    np.testing.assert_allclose(np.exp(-np.asarray(nll)).sum(), 1.0, rtol=1e-5)


def test_the_ability_scales_values_to_1_and_repeats_itself():
    module = MODELS["pixelcnn"].clone(num_values=5)
    model = models.functional(module)
    variables = jax.jit(model.init)(jax.random.key(0))
    ability = evaluation.pixel_sampler(model)
    inputs = {"temperature": np.ones(32, np.float32)}
    sample = evaluation.predict(ability, variables, inputs)["sample"]
    assert sample.dtype == np.float32 and sample.shape == (32, *SHAPE)
    np.testing.assert_array_equal(np.unique(sample), np.float32([0, 1, 2, 3, 4]) / 4)
    again = evaluation.predict(ability, variables, inputs)["sample"]
    np.testing.assert_array_equal(sample, again)


def test_other_models_are_told():
    model = models.functional(models.MLP((2,), 2), jnp.zeros((1, 2)))
    with pytest.raises(UserError, match="model of MLP: expected a PixelCNN or Pixel"):
        sample_pixels(model, {}, jnp.ones(1), jax.random.key(0))
