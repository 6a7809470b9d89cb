"""RandAugment's operations are torchvision's, and it draws each as often."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.data import augment
from fdl.data.augment.rand_augment import OPERATIONS, operate

THEIRS = {
    "saturation": "Color",
    "autocontrast": "AutoContrast",
    "shear_x": "ShearX",
    "shear_y": "ShearY",
    "translate_x": "TranslateX",
    "translate_y": "TranslateY",
}
CASES = [
    (name, magnitude, sign)
    for name in OPERATIONS
    for magnitude in (9, 30)
    for sign in (1, -1)
]


def operated(image, name, magnitude, sign):
    function = jax.jit(operate, static_argnums=3)
    return function(image, OPERATIONS.index(name), float(sign), magnitude / 30)


@pytest.mark.parametrize("name, magnitude, sign", CASES)
def test_operations_equal_torchvision(name, magnitude, sign, image, references):
    ours = operated(image, name, magnitude, sign)
    references.agree(f"{name} {magnitude} {sign}", ours)


@pytest.mark.oracle
@pytest.mark.parametrize("name, magnitude, sign", CASES)
def test_operations_equal_torchvision_itself(
    name, magnitude, sign, image, references, torchvision
):
    def theirs(v2, x):
        policy = v2.RandAugment(interpolation=v2.InterpolationMode.BILINEAR)
        key = THEIRS.get(name, name.capitalize())
        levels, signed = policy._AUGMENTATION_SPACE[key]
        levels = levels(31, *image.shape[:2])
        level = 0.0 if levels is None else float(levels[magnitude])
        return policy._apply_image_or_video_transform(
            x, key, level * (sign if signed else 1), policy.interpolation, policy._fill
        )

    expected = torchvision(theirs, image)
    references.check(f"{name} {magnitude} {sign}", expected)
    ours = operated(image, name, magnitude, sign)
    np.testing.assert_allclose(ours, expected, atol=4e-6)


def test_each_operation_is_drawn_equally_often_and_to_both_sides(image):
    image = 0.1 + 0.7 * image  # So that there is contrast to gain.
    images = jnp.broadcast_to(image, (2800, *image.shape))
    change = jax.jit(augment.rand_augment(1, 12.0))
    changed = np.asarray(change(jax.random.key(0), images))
    results = np.stack(
        [operated(image, name, 12, sign) for name in OPERATIONS for sign in (1, -1)]
    )
    distances = [np.abs(changed - one).max(axis=(1, 2, 3)) for one in results]
    nearest = np.argmin(distances, axis=0)
    assert np.min(distances, axis=0).max() < 1e-5
    counts = np.bincount(nearest // 2, minlength=len(OPERATIONS))
    # Thirteen degrees of freedom: chi-squared exceeds 41 once in ten thousand times.
    assert ((counts - 200) ** 2 / 200).sum() < 41
    signed = [
        name not in ("identity", "posterize", "solarize", "autocontrast", "equalize")
        for name in OPERATIONS
    ]
    right = (nearest % 2 == 0)[np.array(signed)[nearest // 2]]
    assert abs(right.mean() - 0.5) < 4 * 0.5 / np.sqrt(len(right))


@pytest.mark.slow
def test_two_operations_are_one_after_the_other(image):
    names = ("posterize", "solarize")
    pairs = [
        operated(np.asarray(operated(image, first, 30, 1)), second, 30, 1)
        for first, second in (names, names[::-1])
    ]
    images = jnp.broadcast_to(image, (2000, *image.shape))
    change = jax.jit(augment.rand_augment(2, 30.0))
    changed = np.asarray(change(jax.random.key(1), images))
    for expected in map(np.asarray, pairs):
        found = (np.abs(changed - expected).max(axis=(1, 2, 3)) < 1e-5).mean()
        assert abs(found - 1 / 196) < 5 * np.sqrt(1 / 196 / 2000)


def test_no_magnitude_and_no_operation_change_little(image):
    images = jnp.broadcast_to(image, (8, *image.shape))
    none = augment.rand_augment(0)(jax.random.key(0), images)
    np.testing.assert_array_equal(none, images)
    with pytest.raises(ValueError, match="magnitude=31"):
        augment.rand_augment(2, 31)
    with pytest.raises(ValueError, match="num_operations=-1"):
        augment.rand_augment(-1)
