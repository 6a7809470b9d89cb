"""mixup and cutmix by their definitions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from fdl.data import augment
from fdl.data.augment.mixup import mixed_box, partners
from fdl.errors import UserError

PROGRAMS = 140

KEY = jax.random.key(0)
SIZE = 64


def batch_of(size=SIZE, mask=None):
    """Image i is all i, and so is its label: what was mixed can be read off."""
    values = jnp.arange(size, dtype=jnp.float32)
    batch = {
        "image": jnp.broadcast_to(values[:, None, None, None], (size, 10, 8, 1)),
        "label": jnp.arange(size),
        "id": jnp.arange(size),
    }
    return batch if mask is None else {**batch, "mask": jnp.asarray(mask)}


def test_mixup_mixes_images_as_it_mixes_labels():
    batch = batch_of()
    mixed = jax.jit(augment.mixup(SIZE, alpha=1.0))(KEY, batch)
    label = np.asarray(mixed["label"], np.float64)
    np.testing.assert_allclose(label.sum(axis=1), 1, rtol=1e-6)
    assert ((label > 0).sum(axis=1) <= 2).all()
    images = label @ np.asarray(batch["image"]).reshape(SIZE, -1)
    np.testing.assert_allclose(
        np.asarray(mixed["image"]).reshape(SIZE, -1), images, rtol=1e-5, atol=1e-5
    )
    np.testing.assert_array_equal(mixed["id"], batch["id"])
    assert mixed["image"].dtype == jnp.float32


@pytest.mark.parametrize("alpha", [0.2, 4.0])
def test_shares_are_distributed_as_a_beta(alpha):
    size = 2000
    # So that none is paired with its like.
    batch = {"image": jnp.zeros((size, 1)), "label": np.eye(size, dtype=np.float32)}
    mixed = jax.jit(augment.mixup(alpha=alpha))(KEY, batch)
    share = np.diagonal(np.asarray(mixed["label"]))
    paired = jax.jit(partners, static_argnums=(1, 2))(
        jax.random.split(KEY)[1], size, None
    )
    share = share[np.asarray(paired) != np.arange(size)]
    assert stats.kstest(share, stats.beta(alpha, alpha).cdf).pvalue > 1e-3


def test_partners_are_a_permutation_and_each_is_as_likely():
    draw = jax.jit(jax.vmap(lambda key: partners(key, 4, None)))
    found = np.asarray(draw(jax.random.split(KEY, 4000)))
    np.testing.assert_array_equal(np.sort(found), np.tile(np.arange(4), (4000, 1)))
    counts = np.array([np.bincount(column, minlength=4) for column in found.T])
    assert ((counts - 1000) ** 2 / 1000).sum() < 33.7


def test_what_is_masked_is_never_mixed_in():
    mask = np.array([0, 1, 1, 0, 1, 0], np.float32)
    draw = jax.jit(jax.vmap(lambda key: partners(key, 6, jnp.asarray(mask))))
    found = np.asarray(draw(jax.random.split(KEY, 3000)))
    np.testing.assert_array_equal(found[:, mask == 0], np.tile([0, 3, 5], (3000, 1)))
    np.testing.assert_array_equal(
        np.sort(found[:, mask > 0]), np.tile([1, 2, 4], (3000, 1))
    )
    counts = np.array([np.bincount(c, minlength=6)[mask > 0] for c in found.T])[
        mask > 0
    ]
    assert ((counts - 1000) ** 2 / 1000).sum() < 33.7


@pytest.mark.parametrize("make", [augment.mixup, augment.cutmix])
def test_padding_may_be_anything(make):
    mask = (np.arange(SIZE) < 40).astype(np.float32)
    batch = batch_of(mask=mask)
    batch["image"] = np.where(mask[:, None, None, None], batch["image"], np.nan)
    mixed = jax.jit(make(SIZE))(KEY, batch)
    assert np.isfinite(mixed["image"][:40]).all()
    assert (np.asarray(mixed["label"])[:40, 40:] == 0).all()
    np.testing.assert_array_equal(mixed["mask"], mask)


def test_cutmix_labels_are_the_areas_that_one_sees():
    batch = batch_of()
    mixed = jax.jit(augment.cutmix(SIZE))(KEY, batch)
    images = np.asarray(mixed["image"])[..., 0]
    expected = np.stack([(images == i).mean(axis=(1, 2)) for i in range(SIZE)], axis=1)
    np.testing.assert_allclose(mixed["label"], expected, atol=1e-6)
    assert (expected.sum(axis=1) == 1).all()
    for i, image in enumerate(images):  # What is not from i itself is one box.
        other = image != i
        rows, columns = other.any(axis=1), other.any(axis=0)
        np.testing.assert_array_equal(other, rows[:, None] & columns)


def test_boxes_are_those_of_torchvisions_cutmix():
    """Its arithmetic, in NumPy: half the side is cut to whole pixels."""
    random = np.random.default_rng(0)
    box = jax.jit(mixed_box, static_argnums=(2, 3))
    for _ in range(50):
        share, y, x = random.uniform(), random.integers(30), random.integers(20)
        half = 0.5 * np.sqrt(1 - share)
        high, wide = int(half * 30), int(half * 20)
        expected = np.zeros((30, 20), bool)
        top, left = max(y - high, 0), max(x - wide, 0)
        expected[top : max(y + high, 0), left : max(x + wide, 0)] = True
        actual = box(jnp.asarray(share), jnp.array([y, x]), 30, 20)
        np.testing.assert_array_equal(actual, expected)


def test_numbers_are_mixed_as_numbers():
    batch = {"features": jnp.arange(8.0)[:, None], "target": 2 * jnp.arange(8.0)}
    mix = augment.mixup(alpha=1.0, inputs="features", labels="target")
    mixed = jax.jit(mix)(KEY, batch)
    np.testing.assert_allclose(mixed["target"], 2 * mixed["features"][:, 0], rtol=1e-6)
    answers = {"image": jnp.zeros((4, 2)), "label": jnp.array([0, 1, 1, 0])}
    label = jax.jit(augment.mixup(alpha=1.0))(KEY, answers)["label"]
    assert label.dtype == jnp.float32 and ((label >= 0) & (label <= 1)).all()


def test_distributions_are_mixed_as_they_are():
    soft = jnp.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]])
    mixed = jax.jit(augment.mixup(2, alpha=1.0))(
        KEY, {"image": jnp.zeros((3, 1)), "label": soft}
    )
    np.testing.assert_allclose(mixed["label"].sum(axis=1), 1, rtol=1e-6)
    assert (mixed["label"] <= 0.9).all()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"inputs": "images"}, "inputs='images': .* Did you mean 'image'"),
        ({"labels": "labels"}, "labels='labels': .* Did you mean 'label'"),
    ],
)
def test_unknown_names_are_answered_with_near_ones(change, message):
    with pytest.raises(UserError, match=message):
        augment.mixup(3, **change)(KEY, batch_of())


def test_a_mask_of_parts_is_refused():
    with pytest.raises(UserError, match=r"mask.shape=\[4, 2\]: expected \[4\]"):
        augment.mixup(4)(KEY, batch_of(4, mask=np.ones((4, 2))))


@pytest.mark.parametrize("make", [augment.mixup, augment.cutmix])
@pytest.mark.parametrize("dtype", ["uint8", "int32", "bool"])
def test_integers_would_be_truncated(make, dtype):
    batch = {"image": jnp.zeros((2, 4, 4, 1), dtype), "label": jnp.arange(2)}
    with pytest.raises(UserError, match=f"images.dtype={dtype}: expected floats"):
        make(2)(KEY, batch)


@pytest.mark.parametrize("make", [augment.mixup, augment.cutmix])
def test_alpha_has_to_be_above_zero(make):
    with pytest.raises(ValueError, match="alpha=0"):
        make(3, alpha=0.0)


def test_boxes_are_of_images_with_channels():
    batch = {"image": jnp.zeros((2, 8, 8)), "label": jnp.arange(2)}
    with pytest.raises(ValueError, match=r"images.shape=\[2, 8, 8\]: expected \[B, H,"):
        augment.cutmix(2)(KEY, batch)
