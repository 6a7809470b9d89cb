"""New examples go the way of those of the test; each example has its own score."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fdl
from fdl import evaluation, metrics
from fdl.errors import UserError

PROGRAMS = 370

KEY = jax.random.key(0)


def digits(batch_size=100, **watched):
    """A predictor, a learner's state, and the data of the test."""
    test = fdl.data.load("digits", "test")
    test = {name: array[:130] for name, array in test.items()}
    model = fdl.models.functional(fdl.models.MLP((16,), 10), jnp.zeros((1, 8, 8, 1)))
    objective = fdl.objectives.classification(
        model, metrics={"accuracy": metrics.accuracy, **watched}
    )
    batches = fdl.data.batches(test, batch_size, shuffle=False)
    batches = fdl.data.scale(batches, image=1 / 16)
    learner = fdl.gradient_learner(model, objective, optax.sgd(0.1))
    state = jax.jit(learner.init)(KEY)
    predictor = fdl.evaluation.classifier(model, objective, batches)
    return predictor, state, test, fdl.on_dataset(objective, batches), model


@pytest.mark.parametrize("batch_size", [7, 130, 1000])
def test_answers_are_those_of_the_model_on_scaled_images(batch_size):
    predictor, state, test, _, model = digits()
    found = evaluation.predict(predictor, state, test["image"], batch_size)
    logits, _ = jax.jit(model.apply)(state.variables, test["image"] / np.float32(16))
    np.testing.assert_allclose(found["probability"], jax.nn.softmax(logits), atol=1e-6)
    np.testing.assert_array_equal(found["class"], np.argmax(logits, axis=-1))
    assert evaluation.expected_input(predictor) == jax.ShapeDtypeStruct(
        (8, 8, 1), np.uint8
    )
    assert evaluation.white_level(predictor) == 16


def test_examples_of_another_shape_are_told():
    predictor, state, _, _, _ = digits()
    for wrong in (np.zeros((3, 8, 8)), np.zeros((0, 8, 8, 1)), np.zeros((1, 9, 8, 1))):
        with pytest.raises(UserError, match=r"expected \[8, 8, 1\] in one or more"):
            evaluation.predict(predictor, state, wrong)


def test_a_stream_of_records_is_asked_in_the_same_way():
    predictor, state, test, evaluate, _ = digits(batch_size=50)
    records = [{name: array[i] for name, array in test.items()} for i in range(130)]
    streamed = fdl.data.batches(records, 50, shuffle=False)
    streamed = predictor._replace(test=fdl.data.scale(streamed, image=1 / 16))
    for ours, theirs in zip((predictor, streamed), (streamed, predictor), strict=True):
        a, b = (evaluation.predict(p, state, test["image"][:9]) for p in (ours, theirs))
        np.testing.assert_array_equal(a["class"], b["class"])
    scores = evaluation.score_examples(streamed, state)
    assert scores["accuracy"].values.mean() == pytest.approx(
        evaluate(state)["accuracy"], abs=1e-6
    )


def test_pixels_below_black_are_told():
    predictor, _, test, _, _ = digits()
    shifted = {**test, "image": test["image"].astype(np.float32) - 8}
    batches = fdl.data.batches(shifted, 10, shuffle=False)
    with pytest.raises(UserError, match="goes from -8 to 8 in the test data"):
        evaluation.white_level(predictor._replace(test=batches))


def test_the_odds_of_yes_answer_no_and_yes():
    model = fdl.types.Model(None, lambda variables, x: (x, {}))
    predictor = fdl.evaluation.classifier(model, None, None, inputs="x")
    state = fdl.types.TrainState(0, KEY, {}, {}, ())
    found = predictor.predict(state, {"x": jnp.array([[0.0], [2.0], [-2.0]])})
    p = 1 / (1 + np.exp(-np.array([0, 2, -2])))
    np.testing.assert_allclose(
        found["probability"], np.stack([1 - p, p], axis=1), rtol=1e-6
    )
    assert found["class"].tolist() == [0, 1, 0]
    with pytest.raises(UserError, match=r"logits.shape=\[2, 3, 4\]: expected \[B, C\]"):
        predictor.predict(state, {"x": jnp.zeros((2, 3, 4))})


def test_predictions_are_in_the_units_of_the_targets():
    model = fdl.types.Model(None, lambda variables, x: (x, {}))
    state = fdl.types.TrainState(0, KEY, {}, {}, ())
    predictor = fdl.evaluation.regressor(model, None, None, mean=10.0, std=2.0)
    found = predictor.predict(state, {"features": jnp.array([[0.0], [-1.5]])})
    assert found["prediction"].tolist() == [10.0, 7.0]
    several = predictor.predict(state, {"features": jnp.ones((2, 3))})
    assert several["prediction"].shape == (2, 3)


def test_the_averaged_weights_answer():
    model = fdl.types.Model(
        lambda key: {"params": {"w": jnp.zeros(())}},
        lambda variables, x, **_: (x * variables["params"]["w"], {}),
    )
    optimizer = fdl.optim.chain("sgd", 1.0, num_steps=9, ema=0.5)

    def objective(variables, batch, key=None, *, train=False):
        return -variables["params"]["w"], ({}, {})

    learner = fdl.gradient_learner(model, objective, optimizer)
    state = jax.jit(learner.init)(KEY)
    for _ in range(2):
        state, _ = jax.jit(learner.step)(state, None)
    predictor = fdl.evaluation.regressor(model, None, None)
    found = predictor.predict(state, {"features": jnp.ones((1, 1))})
    # w is 1 and then 2; the average of weights 1/2 and 1 is 5/3.
    np.testing.assert_allclose(found["prediction"], [5 / 3], rtol=1e-6)


def test_the_averaged_weights_are_scored():
    predictor, state, test, _, model = digits()
    objective = predictor.objective
    optimizer = fdl.optim.chain("sgd", 0.5, num_steps=9, ema=0.9)
    learner = fdl.gradient_learner(model, objective, optimizer)
    state = jax.jit(learner.init)(KEY)
    batch = {**test, "image": test["image"] / np.float32(16)}
    for _ in range(3):
        state, _ = jax.jit(learner.step)(state, batch)
    expected = fdl.on_dataset(objective, predictor.test)(state)["loss"]
    scores = evaluation.score_examples(predictor, state)["loss"]
    np.testing.assert_allclose(scores.values.mean(), expected, rtol=1e-5)


WATCHED = {
    "f1": functools.partial(metrics.f1, average="macro", num_classes=10),
    "brier": metrics.brier_score,
}


@pytest.mark.parametrize("batch_size", [130, 50])
def test_scores_of_examples_add_up_to_the_evaluation(batch_size):
    """Whatever the metric, and whether the last batch is full or not."""
    predictor, state, test, evaluate, model = digits(batch_size, **WATCHED)
    scores = evaluation.score_examples(predictor, state)
    expected = evaluate(state)
    assert {*scores} == {"loss", "accuracy", "f1", "brier"} == {*expected}
    for name, found in scores.items():
        assert len(found.sums) == 130
        whole = float(found.to_metric(found.sums.sum(axis=0)).compute())
        np.testing.assert_allclose(whole, expected[name], rtol=1e-5)
    logits, _ = jax.jit(model.apply)(state.variables, test["image"] / np.float32(16))
    right = np.argmax(logits, axis=-1) == test["label"]
    np.testing.assert_array_equal(scores["accuracy"].values, right)


def test_a_test_without_an_end_is_told():
    predictor, state, _, _, _ = digits()
    endless = predictor._replace(test=fdl.data.no_data())
    with pytest.raises(UserError, match="which have epochs"):
        evaluation.score_examples(endless, state)


def test_comparing_scores_is_comparing_what_was_said():
    """Against `metrics.paired_comparison` on the logits themselves."""
    predictor, state, test, _, model = digits(**WATCHED)
    other = state._replace(params=jax.tree.map(lambda x: 1.3 * x + 0.02, state.params))
    first, second = (evaluation.score_examples(predictor, s) for s in (state, other))
    images = test["image"] / np.float32(16)
    said = [jax.jit(model.apply)(s.variables, images)[0] for s in (state, other)]
    for name, metric in {"accuracy": metrics.accuracy, **WATCHED}.items():
        ours = evaluation.compare(first[name], second[name], num_resamples=200)
        theirs = metrics.paired_comparison.compare(
            metric, *said, test["label"], num_resamples=200
        )
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
    ours = evaluation.changes(first["accuracy"], second["accuracy"])
    theirs = metrics.paired_comparison.changes(*said, test["label"])
    assert ours.gained.size + ours.lost.size > 0
    np.testing.assert_array_equal(ours.gained, theirs.gained)
    np.testing.assert_array_equal(ours.lost, theirs.lost)


# What is written.


ANSWERS = {
    "class": np.array([1, 0]),
    "probability": np.array([[0.1, 0.9], [0.75, 0.25]], np.float32),
}


def test_json_lines_are_read_back_as_they_were():
    text = evaluation.as_json(evaluation.prediction_rows(ANSWERS, ["a", "b"]))
    assert [json.loads(line) for line in text.splitlines()] == [
        {"example": "a", "class": 1, "probability": [0.1, 0.9]},
        {"example": "b", "class": 0, "probability": [0.75, 0.25]},
    ]


def test_tables_have_a_column_for_each_number_with_names_if_there_are():
    assert evaluation.as_csv(evaluation.prediction_rows(ANSWERS, ["a", "b,c"])) == (
        'example,class,probability_0,probability_1\na,1,0.1,0.9\n"b,c",0,0.75,0.25\n'
    )
    named = evaluation.as_csv(
        evaluation.prediction_rows(ANSWERS, ["a", "b"], ["cat", "dog"])
    )
    assert named.splitlines()[:2] == [
        "example,class,probability_cat,probability_dog",
        "a,dog,0.1,0.9",
    ]
