"""What is taken away is a box of the right size, and nothing else."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.data import augment

PROGRAMS = 120

KEY = jax.random.key(0)
IMAGES = jnp.full((2000, 12, 10, 3), 0.5)


def filled(images, fill):
    """Height, width and centre of what is filled: it has to be one box."""
    mask = np.asarray(images == fill).all(axis=-1)
    rows, columns = mask.any(axis=2), mask.any(axis=1)
    height, width = rows.sum(axis=1), columns.sum(axis=1)
    np.testing.assert_array_equal(mask, rows[:, :, None] & columns[:, None])
    for line, length in ((rows, height), (columns, width)):
        last = line.shape[1] - 1 - line[:, ::-1].argmax(axis=1)
        np.testing.assert_array_equal(
            (last - line.argmax(axis=1) + 1)[length > 0], length[length > 0]
        )
    return height, width


@pytest.mark.parametrize("size", [1, 4, 5])
def test_cutout_cuts_a_square_with_its_centre_anywhere(size):
    height, width = filled(jax.jit(augment.cutout(size, fill=0.25))(KEY, IMAGES), 0.25)
    assert height.max() == width.max() == size
    for found, length in ((height, 12), (width, 10)):
        # The centre is any pixel: count, in NumPy, what stays inside for each.
        start = np.arange(length) - size // 2
        inside = np.minimum(start + size, length) - np.maximum(start, 0)
        deviation = max(inside.std(), 1e-9) / np.sqrt(len(found))
        assert abs(found.mean() - inside.mean()) < 4 * deviation


def test_erasing_takes_the_shares_and_proportions_that_it_says():
    erase = augment.random_erasing(0.7, scale=(0.1, 0.3), ratio=(0.5, 2.0), fill=0.0)
    images = jnp.full((2000, 60, 50, 1), 0.5)
    height, width = filled(jax.jit(erase)(KEY, images), 0.0)
    erased = height > 0
    assert abs(erased.mean() - 0.7) < 4 * np.sqrt(0.7 * 0.3 / 2000)
    share = (height * width)[erased] / 3000
    assert share.min() > 0.09 and share.max() < 0.31
    assert abs(share.mean() - 0.2) < 4 * (0.2 / np.sqrt(12)) / np.sqrt(erased.sum())
    ratio = width[erased] / height[erased]
    assert ratio.min() > 0.47 and ratio.max() < 2.1
    assert abs(np.log(ratio).mean()) < 0.05


def test_erasing_with_noise_is_normal():
    erase = augment.random_erasing(1.0, fill=None)
    changed = np.asarray(jax.jit(erase)(KEY, IMAGES))
    noise = changed[changed != 0.5]
    assert abs(noise.mean()) < 0.02 and abs(noise.std() - 1) < 0.02


def test_a_box_never_covers_the_whole_image():
    erase = augment.random_erasing(1.0, scale=(0.9, 1.0), ratio=(0.8, 1.2))
    changed = np.asarray(jax.jit(erase)(KEY, IMAGES[:200]))
    assert (changed == 0.5).any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: augment.cutout(0), "size=0"),
        (lambda: augment.random_erasing(-0.1), "probability=-0.1"),
        (lambda: augment.random_erasing(scale=(0.0, 0.3)), "scale="),
    ],
)
def test_ranges_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()
