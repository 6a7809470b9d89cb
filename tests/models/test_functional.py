"""A model is a pair of pure functions, through which all of a module is reached."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import models
from fdl.errors import UserError

PROGRAMS = 120


def initialised(module, *inputs):
    model = models.functional(module, *inputs)
    return model, jax.jit(model.init)(jax.random.key(0))


@pytest.fixture(scope="module")
def gpt():
    module = models.GPT(2, 2, 8, vocab_size=16, max_length=8)
    return initialised(module, jnp.zeros((1, 4), int))


def test_packed_sequences_equal_each_of_them_alone(gpt):
    model, variables = gpt
    apply = jax.jit(model.apply)
    first, second = jnp.array([[3, 1, 4]]), jnp.array([[1, 5, 9]])
    packed = jnp.concatenate([first, second], axis=1)
    segments = jnp.array([[1, 1, 1, 2, 2, 2]])
    logits, _ = apply(variables, packed, segments=segments)
    for alone, part in ((first, logits[:, :3]), (second, logits[:, 3:])):
        np.testing.assert_allclose(apply(variables, alone)[0], part, atol=1e-5)


def test_decoding_with_a_cache_equals_all_tokens_at_once(gpt):
    model, variables = gpt
    tokens = jnp.array([[3, 1, 4, 1, 5]])
    whole, state = jax.jit(model.apply)(variables, tokens)
    assert state == {}

    @jax.jit
    def step(variables, token):
        return model.apply(variables, token, mutable=["cache"], decode=True)

    _, state = step(variables, tokens[:, :3])
    for i in (3, 4):
        logits, state = step({**variables, **state}, tokens[:, i : i + 1])
        np.testing.assert_allclose(logits[:, 0], whole[:, i], atol=1e-5)


def test_a_decoder_is_a_method():
    module = models.VAE((8,), 2, input_shape=(4, 4, 1))
    model, variables = initialised(module, jnp.zeros((1, 4, 4, 1)))
    latents = jax.random.normal(jax.random.key(1), (3, 2))
    decoded, _ = model.apply(variables, latents, method="decode")
    np.testing.assert_array_equal(
        decoded, module.apply(variables, latents, method="decode")
    )
    assert decoded.shape == (3, 4, 4, 1)


def test_a_flow_is_inverted_by_a_method():
    model, variables = initialised(models.RealNVP(2, (8,)), jnp.zeros((1, 4)))
    x = jax.random.normal(jax.random.key(1), (5, 4))
    (z, log_det), _ = model.apply(variables, x, method="forward")
    (inverse, log_det_inverse), _ = model.apply(variables, z, method="inverse")
    np.testing.assert_allclose(inverse, x, atol=1e-5)
    np.testing.assert_allclose(log_det, -log_det_inverse, atol=1e-5)


def test_a_key_counts_in_evaluation():
    module = models.MAE(
        2, 1, 1, 8, decoder_layers=1, decoder_heads=1, decoder_size=8, image_size=4
    )
    images = jax.random.normal(jax.random.key(1), (2, 4, 4, 3))
    model, variables = initialised(module, images)
    apply = jax.jit(lambda key: model.apply(variables, images, key=key)[0])
    (_, mask), (_, same), (_, other) = (
        apply(jax.random.key(seed)) for seed in (0, 0, 3)
    )
    np.testing.assert_array_equal(mask, same)
    assert (mask != other).any() and mask.sum(axis=1).tolist() == [3, 3]
    with pytest.raises(UserError, match="noise=None"):
        model.apply(variables, images)


class Counter(nn.Module):
    """Counts its calls, and takes no ``train``."""

    @nn.compact
    def __call__(self, x):
        calls = self.variable("counts", "calls", jnp.zeros, ())
        if self.is_mutable_collection("counts") and not self.is_initializing():
            calls.value += 1
        return x * self.param("scale", nn.initializers.ones, ())


@pytest.mark.parametrize(
    "options, expected", [({}, 0), ({"train": True}, 1), ({"mutable": ["counts"]}, 1)]
)
def test_collections_change_in_training_and_where_they_are_named(options, expected):
    model, variables = initialised(Counter(), jnp.ones(2))
    outputs, state = model.apply(variables, jnp.full(2, 3.0), **options)
    assert outputs.tolist() == [3, 3]
    assert state["counts"]["calls"] == expected


def test_a_method_that_does_not_exist_is_named_with_the_near_one():
    model, variables = initialised(models.VAE((8,), 2), jnp.zeros((1, 28, 28, 1)))
    with pytest.raises(UserError, match=r"method='decod': .* of VAE. .*'decode'"):
        model.apply(variables, jnp.zeros((1, 2)), method="decod")


def test_a_model_knows_its_module():
    module = models.MLP((8,), 3)
    assert models.functional(module, jnp.zeros((1, 4))).module is module
