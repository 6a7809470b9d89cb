"""Where things are: every place as likely as it should be."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.data import augment
from fdl.data.augment import boxes

PROGRAMS = 380

KEY = jax.random.key(0)


def copies(image, count):
    return jnp.broadcast_to(jnp.asarray(image), (count, *image.shape))


@pytest.mark.parametrize("flip, axis", [("horizontal_flip", 1), ("vertical_flip", 0)])
def test_flips_are_numpys_as_often_as_said(flip, axis, image):
    flipped = jax.jit(getattr(augment, flip)(0.3))(KEY, copies(image, 2000))
    there = (np.asarray(flipped) == np.flip(image, axis)).all(axis=(1, 2, 3))
    stayed = (np.asarray(flipped) == image).all(axis=(1, 2, 3))
    assert (there ^ stayed).all()
    assert abs(there.mean() - 0.3) < 4 * math.sqrt(0.3 * 0.7 / 2000)


def test_flips_that_are_certain_or_never(image):
    images = copies(image, 3)
    always = jax.jit(augment.horizontal_flip(1.0))(KEY, images)
    np.testing.assert_array_equal(always, np.asarray(images)[:, :, ::-1])
    never = jax.jit(augment.vertical_flip(0.0))(KEY, images)
    np.testing.assert_array_equal(never, images)


@pytest.mark.parametrize("mode", ["constant", "reflect"])
def test_pad_crop_gives_each_shift_equally_often(mode, image):
    padding, count = 2, 5000
    cropped = jax.jit(augment.pad_crop(padding, mode=mode))(KEY, copies(image, count))
    around = np.pad(image, ((2, 2), (2, 2), (0, 0)), mode)
    height, width, _ = image.shape
    counts = [
        (np.asarray(cropped) == around[i : i + height, j : j + width])
        .all(axis=(1, 2, 3))
        .sum()
        for i in range(5)
        for j in range(5)
    ]
    assert sum(counts) == count
    # Twenty-four degrees of freedom: exceeded once in ten thousand times.
    assert ((np.array(counts) - 200) ** 2 / 200).sum() < 59


def drawn_boxes(height, width, scale, ratio, count, smaller=False):
    """The definition, in a loop."""
    random, found = np.random.default_rng(0), []
    for _ in range(count):
        for _ in range(10):
            share = random.uniform(*scale) * height * width
            aspect = math.exp(random.uniform(*map(math.log, ratio)))
            w, h = round(math.sqrt(share * aspect)), round(math.sqrt(share / aspect))
            if 0 < w <= width - smaller and 0 < h <= height - smaller:
                top, left = random.integers([height - h + 1, width - w + 1])
                found.append((top, left, h, w))
                break
    return np.array(found)


@pytest.mark.parametrize("smaller", [False, True])
def test_boxes_are_distributed_as_defined(smaller):
    scale, ratio, count = (0.08, 1.0), (3 / 4, 4 / 3), 20_000
    keys = jax.random.split(KEY, count)
    actual, fits = jax.jit(
        jax.vmap(
            lambda key: boxes.random_box(key, 24, 32, scale, ratio, smaller=smaller)
        )
    )(keys)
    actual = np.stack(actual, axis=1)[np.asarray(fits)]
    expected = drawn_boxes(24, 32, scale, ratio, count, smaller)
    top, left, height, width = actual.T
    assert top.min() >= 0 and (top + height).max() <= 24
    assert left.min() >= 0 and (left + width).max() <= 32
    assert abs(len(actual) - len(expected)) < 200
    error = np.sqrt(actual.var(axis=0) / len(actual) + expected.var(axis=0) / count)
    assert (np.abs(actual.mean(axis=0) - expected.mean(axis=0)) < 4 * error).all()
    ratio_of = np.std([b[:, 2:].astype(float) for b in (actual, expected)], axis=1)
    np.testing.assert_allclose(*ratio_of, rtol=0.03)


@pytest.mark.oracle
def test_boxes_are_those_of_torchvision(torchvision):
    def theirs(v2, x):
        draw = v2.RandomResizedCrop(8).make_params
        found = [[*draw([x]).values()][:4] for _ in range(4000)]
        return x.new_tensor(found)[None]

    expected = torchvision(theirs, np.zeros((24, 32, 3), np.float32))[..., 0]
    actual, _ = jax.vmap(
        lambda key: boxes.random_box(key, 24, 32, (0.08, 1.0), (3 / 4, 4 / 3))
    )(jax.random.split(KEY, 4000))
    ours = np.stack(actual, axis=1)
    error = np.sqrt((ours.var(axis=0) + expected.var(axis=0)) / 4000)
    assert (np.abs(ours.mean(axis=0) - expected.mean(axis=0)) < 4 * error).all()


@pytest.mark.parametrize(
    "shape, expected",
    [
        ((30, 10), (8, 0, 13, 10)),  # Too high: 10 / (3 / 4) = 13.
        ((10, 30), (0, 8, 10, 13)),
        ((10, 12), (0, 0, 10, 12)),
    ],
)
def test_where_no_box_fits_the_middle_is_taken(shape, expected, image):
    assert boxes.central_box(*shape, (3 / 4, 4 / 3)) == expected
    # A share of nearly all of a long image has never one of these proportions.
    if shape != (10, 12):
        images = np.random.RandomState(0).uniform(size=(2, *shape, 1))
        images = images.astype(np.float32)
        crop = jax.jit(augment.resized_crop((13, 13), scale=(0.99, 1.0)))
        top, left, height, width = expected
        part = images[:, top : top + height, left : left + width]
        middle = jax.image.resize(part, (2, 13, 13, 1), "linear")
        np.testing.assert_allclose(crop(KEY, images), middle, atol=1e-6)


def test_crops_have_the_size_that_is_asked_for(image):
    images = copies(image, 2)
    crop = augment.resized_crop((5, 7))
    assert jax.eval_shape(crop, KEY, images).shape == (2, 5, 7, 3)
    whole = jax.jit(augment.resized_crop(scale=(1.0, 1.0), ratio=(12 / 9, 12 / 9)))
    np.testing.assert_allclose(whole(KEY, images), images, atol=1e-6)


def test_rotations_go_up_to_their_angle_on_both_sides():
    """The angle is found again from where a bright point has gone."""
    image = jnp.zeros((41, 41, 1)).at[20, 38].set(1.0).at[19:22, 37:40].add(0.5)
    turned = np.asarray(jax.jit(augment.rotation(40.0))(KEY, copies(image, 1000)))
    weight = turned[..., 0] / turned.sum(axis=(1, 2, 3))[:, None, None]
    y, x = (np.mgrid[:41, :41] - 20)[:, None] * weight
    angle = np.degrees(np.arctan2(y.sum(axis=(1, 2)), x.sum(axis=(1, 2))))
    assert np.abs(angle).max() < 40.5
    quantiles = np.quantile(angle, [0.1, 0.25, 0.5, 0.75, 0.9])
    np.testing.assert_allclose(quantiles, [-32, -20, 0, 20, 32], atol=4)


def test_affine_moves_within_its_ranges():
    image = jnp.zeros((41, 31, 1)).at[20, 15].set(1.0)
    move = augment.affine(translate=(0.2, 0.3))
    moved = np.asarray(jax.jit(move)(KEY, copies(image, 1000)))[..., 0]
    weight = moved / moved.sum(axis=(1, 2), keepdims=True)
    y, x = np.mgrid[:41, :31]
    for axis, center, most in ((x, 15, 0.2 * 31), (y, 20, 0.3 * 41)):
        shift = (axis * weight).sum(axis=(1, 2)) - center
        assert 0.97 * most < np.abs(shift).max() <= most + 1e-4
        assert abs(shift.mean()) < 4 * most / math.sqrt(3 * 1000)


def test_affine_that_may_do_nothing_does_nothing(image):
    images = copies(image, 2)
    same = jax.jit(augment.affine())(KEY, images)
    np.testing.assert_allclose(same, images, atol=1e-6)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: augment.pad_crop(-1), "padding=-1"),
        (lambda: augment.horizontal_flip(1.5), "probability=1.5"),
        (lambda: augment.resized_crop(scale=(0.5, 0.1)), "scale="),
        (lambda: augment.resized_crop(ratio=(0.0, 1.0)), "ratio="),
        (lambda: augment.resized_crop(4), "size=4: expected height and width"),
        (lambda: augment.affine(scale=(0.0, 1.0)), "scale="),
        (lambda: augment.affine(translate=(3, 3)), "expected shares of the image"),
        (lambda: augment.affine(translate=0.1), "translate=0.1: expected two num"),
        (lambda: augment.affine(shear=5.0), "shear=5.0: expected two numbers"),
    ],
)
def test_ranges_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()
