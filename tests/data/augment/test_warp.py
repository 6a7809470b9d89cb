"""Turning, shearing and resizing are torchvision's, and NumPy's where exact."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.data.augment import warp

AFFINE = [  # Angle, translation, scale, shear.
    (30, (0, 0), 1, (0, 0)),
    (0, (2, -1), 1, (0, 0)),
    (17, (1, 2), 1.3, (10, -20)),
    (-100, (0, 0), 0.7, (0, 5)),
]
CROPS = [  # Top, left, height, width; size.
    ((2, 1, 5, 9), (9, 12)),
    ((0, 0, 9, 12), (4, 5)),
    ((3, 4, 2, 3), (9, 12)),
    ((0, 2, 9, 3), (20, 2)),
    ((4, 4, 1, 1), (3, 3)),
]
resized = functools.partial(jax.jit, static_argnums=2)(warp.crop_and_resize)


@functools.partial(jax.jit, static_argnames="fill")
def warped(image, *arguments, fill=0.0, **options):
    return warp.warp(image, warp.affine_matrix(*arguments, **options), fill=fill)


@pytest.mark.parametrize("case", AFFINE, ids=str)
def test_affine_equals_torchvision(case, image, references):
    references.agree(f"affine {case}", warped(image, *case))


@pytest.mark.oracle
@pytest.mark.parametrize("case", AFFINE, ids=str)
def test_affine_equals_torchvision_itself(case, image, references, torchvision):
    angle, shift, scale, shear = case

    def theirs(v2, x):
        bilinear = v2.InterpolationMode.BILINEAR
        return v2.functional.affine(
            x, angle, [*shift], scale, [*shear], interpolation=bilinear
        )

    expected = torchvision(theirs, image)
    references.check(f"affine {case}", expected)
    np.testing.assert_allclose(warped(image, *case), expected, atol=2e-6)


@pytest.mark.parametrize("box, size", CROPS, ids=str)
def test_resizing_equals_torchvision(box, size, image, references):
    references.agree(f"crop {box} {size}", resized(image, box, size))


@pytest.mark.oracle
@pytest.mark.parametrize("box, size", CROPS, ids=str)
def test_resizing_equals_torchvision_itself(box, size, image, references, torchvision):
    expected = torchvision(
        lambda v2, x: v2.functional.resized_crop(x, *box, [*size], antialias=True),
        image,
    )
    references.check(f"crop {box} {size}", expected)
    np.testing.assert_allclose(resized(image, box, size), expected, atol=2e-6)


@pytest.mark.parametrize("turns", [-1, 1, 2, 3])
def test_quarter_turns_equal_numpy(turns, image):
    square = image[:, :9]
    expected = np.rot90(square, -turns)  # NumPy turns counter-clockwise.
    np.testing.assert_allclose(warped(square, 90.0 * turns), expected, atol=2e-6)


def test_shifts_equal_numpy_and_are_filled(image):
    expected = np.full_like(image, 0.25)
    expected[:-2, 3:] = image[2:, :-3]
    actual = warped(image, translate=(3, -2), fill=0.25)
    np.testing.assert_allclose(actual, expected, atol=1e-6)


def test_the_center_of_a_turn_stays(image):
    place = (2.0, -1.0)  # As seen from the centre at (5.5, 4): column 7.5, row 3.
    actual = np.asarray(warped(image, 180.0, center=place))
    np.testing.assert_allclose(actual[3, 4:12], image[3, 4:12][::-1], atol=2e-6)


def test_a_crop_of_the_same_size_is_the_crop(image):
    actual = resized(image, (2, 3, 5, 6), (5, 6))
    np.testing.assert_array_equal(actual, image[2:7, 3:9])


def test_resizing_equals_jax_where_the_whole_image_is_kept(image):
    expected = jax.image.resize(image, (4, 7, 3), "linear")
    actual = resized(image, (0, 0, 9, 12), (4, 7))
    np.testing.assert_allclose(actual, expected, atol=1e-6)
    assert actual.dtype == jnp.float32
