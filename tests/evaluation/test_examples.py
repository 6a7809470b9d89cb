"""The whole test is asked once, in its order, and few of its examples are kept."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fdl
from fdl import evaluation
from fdl.errors import UserError
from fdl.types import Examples, Model

SIZE = 23
DATA = {
    "image": np.random.default_rng(0).normal(size=(SIZE, 4)).astype(np.float32),
    "label": np.random.default_rng(1).integers(0, 3, SIZE),
    "weight": np.ones(SIZE, np.float32),
}
KERNEL = np.random.default_rng(2).normal(size=(4, 3)).astype(np.float32)
VARIABLES = {"params": {"w": jnp.asarray(KERNEL)}}
MODEL = Model(None, lambda variables, x, **_: (x @ variables["params"]["w"], {}))
DOUBLED = fdl.data.preprocessing.images((4,), np.float32, white=0.5)
PREDICT = evaluation.classifier(MODEL, DOUBLED)


def examples(batch_size, data=DATA):
    batches = fdl.data.batches(data, batch_size, shuffle=False)
    return Examples(batches, None, fdl.data.preprocessor(DOUBLED))


@pytest.mark.parametrize("records", [False, True])
@pytest.mark.parametrize("batch_size", [5, 20, SIZE])
def test_answers_stand_beside_what_is_true(batch_size, records):
    data = DATA
    if records:
        data = [{name: array[i] for name, array in DATA.items()} for i in range(SIZE)]

    def keep(targets, predictions):
        return np.flatnonzero(predictions["class"] != targets)

    found = evaluation.evaluate_examples(
        PREDICT, VARIABLES, examples(batch_size, data), keep
    )
    logits = 2 * DATA["image"] @ KERNEL
    odds = np.exp(logits)
    np.testing.assert_array_equal(found.targets, DATA["label"])
    expected = odds / odds.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found.predictions["probability"], expected, rtol=1e-5)
    wrong = np.flatnonzero(logits.argmax(axis=1) != DATA["label"])
    np.testing.assert_array_equal(found.indices, wrong)
    np.testing.assert_allclose(found.inputs, 2 * DATA["image"][wrong])


def test_examples_that_are_masked_are_not_asked():
    some = np.arange(SIZE) % 3 != 1
    masked = examples(5, {**DATA, "counts": some.astype(np.float32)})

    def take(batch):
        mask = batch.get("mask", jnp.ones(5)) * batch["counts"]
        return {**batch, "mask": mask}

    masked = masked._replace(batches=fdl.data.transform(masked.batches, take))
    found = evaluation.evaluate_examples(
        PREDICT, VARIABLES, masked, lambda targets, _: np.flatnonzero(targets == 1)
    )
    np.testing.assert_array_equal(found.targets, DATA["label"][some])
    np.testing.assert_array_equal(found.indices, np.flatnonzero(found.targets == 1))
    expected = 2 * DATA["image"][some][found.indices]
    np.testing.assert_allclose(found.inputs, expected)


def test_the_examples_are_predicted_once():
    calls = []

    def predict(variables, inputs, key):
        jax.debug.callback(lambda: calls.append(1))
        return PREDICT.function(variables, inputs, key)

    evaluation.evaluate_examples(
        PREDICT._replace(function=predict),
        VARIABLES,
        examples(5),
        lambda *_: np.arange(0),
    )
    jax.effects_barrier()
    assert len(calls) == 5


CLASS, NUMBER = {"class": np.zeros(4)}, {"prediction": np.zeros(4)}


@pytest.mark.parametrize(
    "names, answers, expected",
    [
        ({"label": int, "image": int}, CLASS, "label"),
        ({"species": int, "image": float}, CLASS, "species"),
        ({"species": int, "genus": int}, CLASS, None),
        ({"species": int, "label": int}, CLASS, "label"),
        ({"mask": float, "price": float}, NUMBER, "price"),
        ({"label": int}, NUMBER, None),
        ({"label": int}, {"code": np.zeros(4)}, None),
    ],
)
def test_what_is_true_is_known_by_its_type(names, answers, expected):
    batch = {name: jnp.zeros(4, kind) for name, kind in names.items()}
    assert evaluation.target_name(batch, answers, "image") == expected


def test_examples_without_labels_have_no_targets():
    unlabelled = examples(5, {"image": DATA["image"]})
    found = evaluation.evaluate_examples(
        PREDICT, VARIABLES, unlabelled, lambda *_: np.arange(0)
    )
    assert found is None


def test_examples_without_an_end_are_an_error():
    batches = examples(5).batches._replace(steps_per_epoch=None)
    endless = examples(5)._replace(batches=batches)
    with pytest.raises(UserError, match="which have epochs"):
        evaluation.evaluate_examples(PREDICT, VARIABLES, endless, lambda *_: [])
