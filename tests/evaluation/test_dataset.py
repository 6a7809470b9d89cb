import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fdl
from fdl import data, metrics, models, objectives
from fdl.errors import UserError

PROGRAMS = 130

RANDOM = np.random.default_rng(0)
SOURCE = {
    "features": RANDOM.normal(size=(23, 4)).astype(np.float32),
    "label": RANDOM.integers(3, size=23).astype(np.int32),
}
MODEL = models.functional(models.MLP((5,), 3, dropout=0.5), SOURCE["features"][:1])
OBJECTIVE = objectives.classification(MODEL, inputs="features")
VARIABLES = jax.jit(MODEL.init)(jax.random.key(0))


@pytest.mark.parametrize("batch_size", [1, 5, 23])
def test_each_example_counts_once_whatever_the_batches(batch_size):
    batches = data.batches(SOURCE, batch_size, shuffle=False)
    actual = fdl.on_dataset(OBJECTIVE, batches)(VARIABLES)
    logits, _ = MODEL.apply(VARIABLES, SOURCE["features"])
    correct = np.mean(np.argmax(logits, axis=-1) == SOURCE["label"])
    np.testing.assert_allclose(actual["accuracy"], correct, rtol=1e-6)
    loss, _ = OBJECTIVE(VARIABLES, jax.tree.map(jnp.asarray, SOURCE))
    np.testing.assert_allclose(actual["loss"], loss, rtol=1e-5)


def drawn(variables, batch, key=None, *, train=False):
    noise = jax.random.normal(key, batch["label"].shape)
    return noise.mean(), ({}, {"noise": metrics.mean(noise, batch.get("mask"))})


def test_what_an_objective_draws_is_the_same_each_time_and_another_with_another_seed():
    batches = data.batches(SOURCE, 5, shuffle=False)
    first, same, other = (
        fdl.on_dataset(drawn, batches, seed=seed)({})["noise"] for seed in (0, 0, 1)
    )
    assert first == same != other
    keys = [jax.random.fold_in(jax.random.key(0), i) for i in range(5)]
    noise = np.concatenate([jax.random.normal(key, (5,)) for key in keys])[:23]
    np.testing.assert_allclose(first, noise.astype(np.float64).mean(), rtol=1e-5)


def test_preprocessing_is_applied_and_scalars_are_metrics():
    def mean(variables, batch, key=None, *, train=False):
        return 0.0, ({}, {"mean": batch["features"].mean()})

    batches = data.batches(SOURCE, 23, shuffle=False)
    evaluate = fdl.on_dataset(
        mean, batches, preprocess=lambda batch: {"features": 2 * batch["features"]}
    )
    expected = 2 * SOURCE["features"].mean()
    np.testing.assert_allclose(evaluate({})["mean"], expected, rtol=1e-5)


def test_evaluation_needs_an_end():
    with pytest.raises(UserError, match="epochs"):
        fdl.on_dataset(OBJECTIVE, data.no_data())


def test_billions_of_answers_are_counted():
    """Each example stands for an image of 5e8 pixels."""

    def wrong_once(variables, batch, key=None, *, train=False):
        chosen = batch["index"] == 7
        weights = jnp.full(chosen.shape, 5e8)
        answers = chosen, jnp.zeros_like(chosen), weights
        found = metrics.accuracy(*answers), metrics.confusion_matrix(*answers)
        return 0.0, ({}, dict(zip(("mean", "counts"), found, strict=True)))

    batches = data.batches({"index": np.arange(23)}, 1, shuffle=False)
    found = fdl.on_dataset(wrong_once, batches)({})
    np.testing.assert_allclose([*found.values()], 22 / 23, rtol=1e-6)
