"""What all augmentations have in common."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.data import augment

PROGRAMS = 230

RANDOM = {
    "affine": augment.affine(
        20.0, translate=(0.1, 0.1), scale=(0.8, 1.2), shear=(5.0, 5.0)
    ),
    "color_jitter": augment.color_jitter(0.4, 0.4, 0.4, 0.1),
    "cutout": augment.cutout(4),
    "gaussian_noise": augment.gaussian_noise(0.1),
    "horizontal_flip": augment.horizontal_flip(),
    "masking_noise": augment.masking_noise(0.3),
    "pad_crop": augment.pad_crop(2),
    "rand_augment": augment.rand_augment(2, 10.0),
    "random_erasing": augment.random_erasing(),
    "resized_crop": augment.resized_crop(),
    "rotation": augment.rotation(15.0),
    "sometimes": augment.sometimes(augment.rotation(15.0), 0.5),
    "vertical_flip": augment.vertical_flip(),
    "composed": augment.compose(augment.pad_crop(2), augment.horizontal_flip()),
    "one_of": augment.one_of(augment.rotation(15.0), augment.pad_crop(2)),
}
BATCHES = {"mixup": augment.mixup(3), "cutmix": augment.cutmix(3)}
KEY = jax.random.key(3)
IMAGES = jax.random.uniform(jax.random.key(0), (8, 9, 12, 3))
COMPOSED = ("composed", "one_of")  # What takes long is done with these; all: slow.
some = pytest.mark.parametrize(
    "change",
    [
        pytest.param(change, id=name, marks=[pytest.mark.slow] * (name not in COMPOSED))
        for name, change in RANDOM.items()
    ],
)
each = pytest.mark.parametrize("change", RANDOM.values(), ids=RANDOM)


def test_every_augmentation_is_here():
    other = {"Augment", "compose", "normalize", "word_dropout", *BATCHES}
    assert {*RANDOM} - {"composed"} == {*augment.__all__} - other


def assert_range(images, change):
    assert np.isfinite(images).all()
    if change is not RANDOM["gaussian_noise"]:
        assert images.min() >= 0 and images.max() <= 1 + 1e-6


@each
@pytest.mark.some(4)
def test_range_is_kept(change):
    assert_range(np.asarray(jax.jit(change)(KEY, IMAGES)), change)


@some
def test_range_is_kept_in_half_precision(change):
    changed = jax.jit(change)(KEY, IMAGES.astype(jnp.bfloat16))
    assert_range(np.float32(changed), change)


@each
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_type_and_shape_are_kept(change, dtype):
    images = jax.ShapeDtypeStruct(IMAGES.shape, dtype)
    changed = jax.eval_shape(change, KEY, images)
    assert (changed.shape, changed.dtype) == (images.shape, images.dtype)


@each
@pytest.mark.some(4)
def test_an_example_is_changed_the_same_way_whatever_stands_beside_it(change):
    others = jnp.concatenate([IMAGES[:3], IMAGES[:5]])
    expected, found = (jax.jit(change)(KEY, x)[:3] for x in (IMAGES, others))
    np.testing.assert_allclose(found, expected, atol=1e-6)


@some
def test_an_example_is_changed_the_same_way_however_many_there_are(change):
    few = jax.jit(change)(KEY, IMAGES[:3])
    np.testing.assert_allclose(jax.jit(change)(KEY, IMAGES)[:3], few, atol=1e-6)


@each
def test_examples_and_keys_are_changed_in_their_own_ways(change):
    images = jnp.broadcast_to(IMAGES[:1], IMAGES.shape)
    one, other = (jax.jit(change)(jax.random.key(i), images) for i in (0, 1))
    assert len(np.unique(np.asarray(one).reshape(len(one), -1), axis=0)) > 1
    assert (one != other).any()
    np.testing.assert_array_equal(one, jax.jit(change)(jax.random.key(0), images))


@some
def test_seeds_and_fused_steps_change_nothing(change):
    keys = jax.random.split(KEY, 3)
    alone = jnp.stack([jax.jit(change)(key, IMAGES) for key in keys])
    together = jax.jit(jax.vmap(change, in_axes=(0, None)))(keys, IMAGES)
    np.testing.assert_allclose(together, alone, atol=2e-6)
    fused = jax.jit(lambda keys: jax.lax.map(lambda k: change(k, IMAGES), keys))(keys)
    np.testing.assert_allclose(fused, alone, atol=2e-6)


@each
def test_bytes_are_refused(change):
    with pytest.raises(ValueError, match="uint8: expected floats"):
        change(KEY, jnp.zeros((2, 9, 12, 3), jnp.uint8))


def test_images_have_four_axes():
    with pytest.raises(ValueError, match=r"\[9, 12, 3\]: expected \[B, H, W, C\]"):
        augment.pad_crop(2)(KEY, IMAGES[0])


def test_one_of_several_is_taken_equally_often():
    def constant(value):
        return lambda key, images: jnp.full_like(images, value)

    choose = jax.jit(augment.one_of(*map(constant, range(4))))
    found = [int(choose(jax.random.key(i), jnp.zeros(()))) for i in range(800)]
    counts = np.bincount(found, minlength=4)
    # Three degrees of freedom: exceeded once in ten thousand times.
    assert ((counts - 200) ** 2 / 200).sum() < 21.1
    with pytest.raises(ValueError, match="at least one"):
        augment.one_of()


def test_sometimes_is_as_often_as_said():
    change = augment.sometimes(lambda key, images: images + 1, 0.2)
    changed = jax.jit(change)(KEY, jnp.zeros((5000, 1)))
    assert set(np.unique(changed)) == {0, 1}
    assert abs(changed.mean() - 0.2) < 4 * np.sqrt(0.2 * 0.8 / 5000)


def test_parts_of_a_composition_draw_on_their_own():
    flips = augment.compose(augment.horizontal_flip(), augment.horizontal_flip())
    images = jnp.broadcast_to(IMAGES[:1], (400, 9, 12, 3))
    stayed = (jax.jit(flips)(KEY, images) == images).all(axis=(1, 2, 3)).mean()
    assert 0.4 < stayed < 0.6  # With one key, two flips would always cancel.


def test_a_composition_of_what_needs_no_key_needs_none():
    shift = augment.normalize((0.5,), (0.5,))
    twice = augment.compose(shift, shift)(None, jnp.full((1, 2, 2, 1), 0.75))
    np.testing.assert_array_equal(twice, 0)
