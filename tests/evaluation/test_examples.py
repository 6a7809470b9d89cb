"""The whole test is asked once, in its order, and few of its examples are kept."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fdl
from fdl import evaluation
from fdl.errors import UserError
from fdl.types import Model, TrainState

SIZE = 23
DATA = {
    "image": np.random.default_rng(0).normal(size=(SIZE, 4)).astype(np.float32),
    "label": np.random.default_rng(1).integers(0, 3, SIZE),
    "weight": np.ones(SIZE, np.float32),
}
KERNEL = np.random.default_rng(2).normal(size=(4, 3)).astype(np.float32)
STATE = TrainState(0, jax.random.key(0), {"w": jnp.asarray(KERNEL)}, {}, ())
MODEL = Model(None, lambda variables, x, **_: (x @ variables["params"]["w"], {}))


def predictor(batch_size, data=DATA):
    test = fdl.data.scale(fdl.data.batches(data, batch_size, shuffle=False), image=2)
    return fdl.evaluation.classifier(MODEL, None, test)


@pytest.mark.parametrize("records", [False, True])
@pytest.mark.parametrize("batch_size", [5, 20, SIZE])
def test_answers_stand_beside_what_is_true(batch_size, records):
    data = DATA
    if records:
        data = [{name: array[i] for name, array in DATA.items()} for i in range(SIZE)]

    def keep(targets, predictions):
        return np.flatnonzero(predictions["class"] != targets)

    found = evaluation.evaluate_examples(predictor(batch_size, data), STATE, keep)
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
    masked = predictor(5, {**DATA, "counts": some.astype(np.float32)})

    def take(batch):
        mask = batch.get("mask", jnp.ones(5)) * batch["counts"]
        return {**batch, "mask": mask}

    masked = masked._replace(test=fdl.data.transform(masked.test, take))
    found = evaluation.evaluate_examples(
        masked, STATE, lambda targets, _: np.flatnonzero(targets == 1)
    )
    np.testing.assert_array_equal(found.targets, DATA["label"][some])
    np.testing.assert_array_equal(found.indices, np.flatnonzero(found.targets == 1))
    expected = 2 * DATA["image"][some][found.indices]
    np.testing.assert_allclose(found.inputs, expected)


def test_the_test_is_asked_once():
    asked = predictor(5)
    calls = []

    def predict(state, batch):
        jax.debug.callback(lambda: calls.append(1))
        return asked.predict(state, batch)

    evaluation.evaluate_examples(
        asked._replace(predict=predict), STATE, lambda *_: np.arange(0)
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


def test_a_test_without_labels_has_no_truth():
    unlabelled = {"image": DATA["image"]}
    assert (
        evaluation.evaluate_examples(predictor(5, unlabelled), STATE, lambda *_: [])
        is None
    )


def test_a_test_without_end_is_told():
    endless = predictor(5)
    endless = endless._replace(test=endless.test._replace(steps_per_epoch=None))
    with pytest.raises(UserError, match="which have epochs"):
        evaluation.evaluate_examples(endless, STATE, lambda *_: [])
