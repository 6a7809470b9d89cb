"""Augmentation is of training alone, and a function of the step."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fdl
from fdl import models, objectives
from fdl.data import augment

PROGRAMS = 280

KEY = jax.random.key(0)
IMAGES = np.random.default_rng(0).uniform(size=(6, 8, 8, 3)).astype(np.float32)
BATCH = {"image": IMAGES, "label": np.array([0, 1, 2, 0, 1, 2], np.int32)}
MODEL = models.functional(models.MLP((5,), 3), IMAGES)
PLAIN = objectives.classification(MODEL)
VARIABLES = jax.jit(MODEL.init)(KEY)
CHANGE = augment.compose(augment.pad_crop(2), augment.horizontal_flip())
CHANGED = {
    "augmented": objectives.augmented(PLAIN, CHANGE),
    "mixup": objectives.mixed(PLAIN, augment.mixup(3, alpha=1.0)),
    "cutmix": objectives.mixed(PLAIN, augment.cutmix(3)),
}
each = pytest.mark.parametrize("objective", CHANGED.values(), ids=CHANGED)


def spy(variables, batch, key=None, *, train=False):
    """An objective that returns what it sees."""
    del variables, key, train
    return jnp.zeros(()), ({}, batch)


@each
def test_evaluation_never_sees_it(objective):
    loss, (_, metrics) = jax.jit(objective)(VARIABLES, BATCH)
    expected, (_, watched) = jax.jit(PLAIN)(VARIABLES, BATCH)
    chex.assert_trees_all_equal((loss, metrics), (expected, watched))


@each
def test_training_sees_another_batch_at_each_step(objective):
    step = jax.jit(objective, static_argnames="train")
    losses = [
        step(VARIABLES, BATCH, jax.random.key(i), train=True)[0] for i in (0, 0, 1)
    ]
    plain = jax.jit(PLAIN, static_argnames="train")
    assert losses[0] == losses[1] != losses[2]
    assert losses[0] != plain(VARIABLES, BATCH, KEY, train=True)[0]
    assert np.isfinite(losses).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["augmented", "mixup"])
def test_fused_steps_and_seeds_give_the_same_numbers(name):
    objective = CHANGED[name]
    learner = fdl.gradient_learner(MODEL, objective, optax.sgd(0.1))
    state = jax.jit(learner.init)(KEY)
    step, one = jax.jit(learner.step), state
    for _ in range(4):
        one, _ = step(one, BATCH)
    batches = jax.tree.map(lambda x: np.stack([x] * 4), BATCH)
    fused, _ = jax.jit(fdl.repeat(learner.step))(state, batches, 4)
    chex.assert_trees_all_close(fused.params, one.params, atol=1e-6)

    keys = jax.vmap(jax.random.key)(jnp.arange(3))
    states = jax.jit(jax.vmap(learner.init))(keys)
    stacked = jax.tree.map(lambda x: np.stack([x] * 3), BATCH)
    steps = jax.jit(jax.vmap(learner.step))
    for _ in range(4):
        states, _ = steps(states, stacked)
    first = jax.tree.map(lambda x: np.asarray(x)[0], states.params)
    chex.assert_trees_all_close(first, one.params, atol=1e-6)


def test_the_objective_sees_what_the_augmentation_made():
    seen = objectives.augmented(spy, lambda key, x: 2 * x)
    _, (_, batch) = seen(VARIABLES, BATCH, KEY, train=True)
    np.testing.assert_array_equal(batch["image"], 2 * IMAGES)
    np.testing.assert_array_equal(batch["label"], BATCH["label"])
    np.testing.assert_array_equal(BATCH["image"], IMAGES)


def test_nested_augmentations_draw_on_their_own():
    flip = augment.horizontal_flip()
    images = np.broadcast_to(IMAGES[:1], (400, 8, 8, 3))
    twice = objectives.augmented(objectives.augmented(spy, flip), flip)
    see = jax.jit(twice, static_argnames="train")
    _, (_, batch) = see(VARIABLES, {"image": images}, KEY, train=True)
    stayed = (np.asarray(batch["image"]) == images).all(axis=(1, 2, 3)).mean()
    assert 0.4 < stayed < 0.6  # With one key, two flips would always cancel.


def test_normalizing_is_for_evaluation_too():
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
    normalized = objectives.augmented(
        spy, augment.normalize(mean, std), evaluation=True
    )
    expected = (np.asarray(IMAGES) - mean) / std
    for options in ({}, {"key": KEY}, {"key": KEY, "train": True}):
        _, (_, batch) = normalized(VARIABLES, BATCH, **options)
        np.testing.assert_allclose(batch["image"], expected, atol=1e-5)


def test_padding_changes_no_gradient():
    """Also of mixed batches: what is masked is neither seen nor mixed in."""
    mask = np.array([1.0, 1, 1, 1, 0, 0], np.float32)
    mix = objectives.mixed(PLAIN, augment.mixup(3, alpha=1.0))

    @jax.jit
    def gradient(images):
        batch = {**BATCH, "image": images, "mask": mask}
        return jax.grad(lambda v: mix(v, batch, KEY, train=True)[0])(VARIABLES)

    other = np.where(mask[:, None, None, None] > 0, IMAGES, np.float32(1e3))
    chex.assert_trees_all_close(gradient(IMAGES), gradient(other), atol=1e-6)


def test_mixed_labels_give_the_mixed_loss():
    """Of cross-entropy, λ loss(yᵢ) + (1 − λ) loss(yⱼ), as the papers write it."""
    mixed = jax.jit(augment.mixup(3, alpha=1.0))
    key = jax.random.split(KEY)[0]
    batch = mixed(key, BATCH)
    logits, _ = jax.jit(MODEL.apply)(VARIABLES, batch["image"])
    loss = jax.jit(fdl.losses.cross_entropy)
    hard = [loss(logits, np.full(6, label)) for label in range(3)]
    expected = (np.stack(hard, axis=1) * np.asarray(batch["label"])).sum(axis=1).mean()
    objective = objectives.mixed(PLAIN, augment.mixup(3, alpha=1.0))
    step = jax.jit(objective, static_argnames="train")
    loss, _ = step(VARIABLES, BATCH, KEY, train=True)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_an_unknown_name_is_answered_with_the_near_ones():
    wrong = objectives.augmented(PLAIN, CHANGE, inputs="images")
    with pytest.raises(fdl.errors.UserError, match="Did you mean 'image'"):
        wrong(VARIABLES, BATCH, KEY, train=True)
