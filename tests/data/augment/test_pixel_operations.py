"""Colours are those of torchvision."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.data.augment import pixel_operations

PROGRAMS = 160

ADJUSTED = {
    "brightness": (0.0, 0.3, 1.7),
    "contrast": (0.0, 0.3, 1.7),
    "saturation": (0.0, 0.3, 1.7),
    "hue": (-0.5, -0.2, 0.1, 0.4),
    "sharpness": (0.0, 0.3, 1.7),
    "posterize": (1, 4, 7),
    "solarize": (0.0, 0.4, 1.0),
}
ADJUSTMENTS = [(name, x) for name, levels in ADJUSTED.items() for x in levels]


def operate(name, *arguments):
    return jax.jit(getattr(pixel_operations, name))(*arguments)


def theirs(name, level):
    plain = name in ("posterize", "solarize")
    return lambda v2, x: getattr(v2.functional, name if plain else f"adjust_{name}")(
        x, level
    )


@pytest.mark.parametrize("name, level", ADJUSTMENTS)
def test_adjusting_equals_torchvision(name, level, image, references):
    ours = operate(name, image, level)
    references.agree(f"{name} {level}", ours)


@pytest.mark.oracle
@pytest.mark.parametrize("name, level", ADJUSTMENTS)
def test_adjusting_equals_torchvision_itself(
    name, level, image, references, torchvision
):
    expected = torchvision(theirs(name, level), image)
    references.check(f"{name} {level}", expected)
    ours = operate(name, image, level)
    np.testing.assert_allclose(ours, expected, atol=2e-6)


@pytest.mark.parametrize("name", ["autocontrast", "equalize"])
def test_spreading_equals_torchvision(name, image, references):
    dark = 0.2 + 0.5 * image**2
    references.agree(name, operate(name, dark))


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["autocontrast", "equalize"])
def test_spreading_equals_torchvision_itself(name, image, references, torchvision):
    call = functools.partial(torchvision, lambda v2, x: getattr(v2.functional, name)(x))
    dark = 0.2 + 0.5 * image**2
    references.check(name, call(dark))
    large = np.random.RandomState(1).uniform(size=(40, 30, 3)).astype(np.float32) ** 3
    flat = np.full((5, 4, 3), 0.3, np.float32)
    for example in (dark, large, flat):
        np.testing.assert_allclose(operate(name, example), call(example), atol=2e-6)


def test_what_is_flat_has_nothing_to_spread():
    flat = jnp.full((4, 5, 1), 0.25)
    np.testing.assert_array_equal(operate("autocontrast", flat), flat)
    np.testing.assert_allclose(operate("equalize", flat), flat, atol=1 / 255)


@pytest.mark.parametrize("name", ["saturation", "hue"])
def test_grey_images_have_no_colours_to_change(name, image):
    grey = image[..., :1]
    np.testing.assert_array_equal(operate(name, grey, 0.3), grey)


@pytest.mark.parametrize("name", ["contrast", "saturation", "hue"])
def test_colours_need_three_channels(name, image):
    with pytest.raises(ValueError, match=r"2\]: expected 1 or 3 channels"):
        getattr(pixel_operations, name)(image[..., :2], 0.3)


def test_hue_equals_matplotlib(image):
    from matplotlib import colors

    hsv = colors.rgb_to_hsv(image)
    hsv[..., 0] = (hsv[..., 0] + 0.15) % 1
    actual = operate("hue", image, 0.15)
    np.testing.assert_allclose(actual, colors.hsv_to_rgb(hsv), atol=2e-6)
