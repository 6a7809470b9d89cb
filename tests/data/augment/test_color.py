"""Jitter, noise and normalisation, by their definitions."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.data import augment
from fdl.data.augment import pixel_operations

KEY = jax.random.key(0)


def test_jitter_draws_its_factors_uniformly_from_their_range():
    """Of a dark image the factor of the brightness can be read off."""
    images = jnp.full((4000, 1, 1, 1), 0.1)
    changed = np.asarray(jax.jit(augment.color_jitter(brightness=0.4))(KEY, images))
    factors = np.sort(changed.reshape(-1)) / 0.1
    expected = np.linspace(0.6, 1.4, 4000)
    # Kolmogorov and Smirnov: in units of the range, once in ten thousand times.
    assert np.abs(factors - expected).max() / 0.8 < 2.2 / np.sqrt(4000)
    strong = jax.jit(augment.color_jitter(brightness=3.0))(KEY, images)
    assert strong.min() >= 0  # Factors below zero make no sense.


def test_jitter_takes_every_order(image):
    """With factors that are nearly fixed, an image says which order it went through."""
    amounts = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0}

    def fixed(order):
        result = image
        for name in order:
            result = jax.jit(getattr(pixel_operations, name))(result, 2.0)
        return np.asarray(result)

    orders = {order: fixed(order) for order in itertools.permutations(amounts)}
    # Draws at the upper end: their factor is 1 + amount.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            jax.random, "uniform", lambda key, minval, maxval: jnp.asarray(maxval)
        )
        jitter = jax.jit(augment.color_jitter(**amounts))
        seen = set()
        for seed in range(60):
            changed = np.asarray(jitter(jax.random.key(seed), image[None])[0])
            (order,) = (
                name for name, x in orders.items() if np.allclose(x, changed, atol=1e-5)
            )
            seen.add(order)
    assert len(seen) == 6


def test_jitter_turns_the_hue_within_its_range():
    red = jnp.broadcast_to(jnp.array([1.0, 0.0, 0.0]), (2000, 1, 1, 3))
    changed = jax.jit(augment.color_jitter(hue=0.1))(KEY, red)
    red, green, blue = np.asarray(changed).reshape(-1, 3).T
    turned = (green - blue) / 6  # Between magenta and yellow red is the largest.
    assert (red > 0.999).all()
    assert 0.098 < turned.max() <= 0.1001 and -0.1001 <= turned.min() < -0.098


def test_jitter_of_nothing_changes_nothing(image):
    same = jax.jit(augment.color_jitter())(KEY, image[None])
    np.testing.assert_array_equal(same, image[None])
    with pytest.raises(ValueError, match="expected at least 0, and a hue"):
        augment.color_jitter(hue=0.6)


def test_noise_is_normal_for_any_shape():
    zeros = jnp.zeros((5000, 7))
    noise = np.asarray(jax.jit(augment.gaussian_noise(0.3))(KEY, zeros))
    assert abs(noise.mean()) < 4 * 0.3 / np.sqrt(35000)
    assert abs(noise.std() / 0.3 - 1) < 4 / np.sqrt(2 * 35000)
    correlation = np.corrcoef(noise.T) - np.eye(7)
    assert np.abs(correlation).max() < 0.06


def test_noise_has_no_negative_deviation():
    with pytest.raises(ValueError, match="std=-1"):
        augment.gaussian_noise(-1.0)


def test_normalizing_needs_no_key(image):
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.25, 1.0)
    actual = augment.normalize(mean, std)(None, image[None])[0]
    np.testing.assert_allclose(actual, (image - mean) / std, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "mean, std", [((0.5,), (0.5, 0.5)), ((0.5,), (0.0,)), ((0.5,), (float("nan"),))]
)
def test_normalizing_needs_a_deviation_for_each_mean(mean, std):
    with pytest.raises(ValueError, match="expected equal lengths, and std above 0"):
        augment.normalize(mean, std)


def test_normalizing_needs_as_many_channels(image):
    with pytest.raises(ValueError, match=r"3\]: expected 1 channels"):
        augment.normalize((0.5,), (0.5,))(KEY, image[None])


def test_bytes_are_not_normalized_to_bytes(image):
    with pytest.raises(ValueError, match=r"images\.dtype=uint8: expected floats"):
        augment.normalize((0.5,), (0.5,))(KEY, (255 * image[None]).astype(np.uint8))
