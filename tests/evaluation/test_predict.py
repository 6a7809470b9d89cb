"""Predictions of new examples, and the metrics of each example."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fdl
from fdl import evaluation, metrics
from fdl.errors import UserError
from fdl.types import Examples

PROGRAMS = 370

KEY = jax.random.key(0)
PREPROCESSING = fdl.data.preprocessing.images((8, 8, 1), white=16)
MODEL = fdl.models.functional(fdl.models.MLP((16,), 10), jnp.zeros((1, 8, 8, 1)))
PREDICT = evaluation.classifier(MODEL, PREPROCESSING)


@pytest.fixture(scope="module")
def digits():
    """Arrays of some test images."""
    test = fdl.data.load("digits", "test")
    return {name: array[:130] for name, array in test.items()}


@pytest.fixture(scope="module")
def variables():
    return jax.jit(MODEL.init)(KEY)


@pytest.fixture(scope="module")
def logits(digits, variables):
    return jax.jit(MODEL.apply)(variables, digits["image"] / np.float32(16))[0]


def examples(data, batch_size=100, **watched):
    objective = fdl.objectives.classification(
        MODEL, metrics={"accuracy": metrics.accuracy, **watched}
    )
    batches = fdl.data.batches(data, batch_size, shuffle=False)
    return Examples(batches, objective, fdl.data.preprocessor(PREPROCESSING))


def evaluated(examples, variables):
    evaluate = fdl.on_dataset(
        examples.objective, examples.batches, preprocess=examples.preprocess
    )
    return evaluate(variables)


@pytest.mark.parametrize("batch_size", [7, 130, 1000])
def test_predictions_are_those_of_the_model_on_scaled_images(
    batch_size, digits, variables, logits
):
    found = evaluation.predict(
        PREDICT, variables, {"image": digits["image"]}, batch_size=batch_size
    )
    np.testing.assert_allclose(found["probability"], jax.nn.softmax(logits), atol=1e-6)
    np.testing.assert_array_equal(found["class"], np.argmax(logits, axis=-1))


@pytest.mark.parametrize("shape", [(3, 8, 8), (0, 8, 8, 1), (1, 9, 8, 1)])
def test_inputs_of_another_shape_are_an_error(shape, variables):
    with pytest.raises(UserError, match=r"expected \[8, 8, 1\] in one or more"):
        evaluation.predict(PREDICT, variables, {"image": np.zeros(shape)})


def test_an_input_that_is_missing_is_named(variables):
    with pytest.raises(UserError, match=r"no input 'images'\. Did you mean 'image'"):
        evaluation.predict(PREDICT, variables, {"images": np.zeros((1, 8, 8, 1))})
    with pytest.raises(UserError, match=r"inputs=\[\]: expected 'image' among them"):
        evaluation.predict(PREDICT, variables, {})
    with pytest.raises(UserError, match="inputs of type ndarray: expected Mapping"):
        evaluation.predict(PREDICT, variables, np.zeros((1, 8, 8, 1)))


def test_inputs_in_other_units_are_an_error(variables):
    halves = np.full((1, 8, 8, 1), 0.5, np.float32)
    with pytest.raises(UserError, match="expected whole numbers"):
        evaluation.predict(PREDICT, variables, {"image": halves})


def test_an_ability_without_inputs_is_called_once():
    def draw(variables, inputs, key):
        return {"sample": jax.random.normal(key, (3,)) + variables["shift"]}

    ability = fdl.types.Ability(draw)
    found = evaluation.predict(ability, {"shift": 1.0}, {}, seed=2)
    np.testing.assert_allclose(
        found["sample"], jax.random.normal(jax.random.key(2), (3,)) + 1, rtol=1e-6
    )


def test_a_stream_of_records_is_scored_as_arrays_are(digits, variables):
    records = [{name: array[i] for name, array in digits.items()} for i in range(130)]
    scores = evaluation.score_examples(examples(records, 50), variables)
    expected = evaluated(examples(digits), variables)
    assert scores["accuracy"].values.mean() == pytest.approx(
        expected["accuracy"], abs=1e-6
    )


IDENTITY = fdl.types.Model(None, lambda variables, x, **_: (x, {}))


def tokens_of(batch_size):
    return jnp.zeros((batch_size, 4), jnp.int32)


def features(*shape):
    spec = jax.ShapeDtypeStruct(shape, np.float32)
    return fdl.data.preprocessing.arrays(features=spec)


def test_one_logit_is_that_of_the_positive_class():
    ability = evaluation.classifier(IDENTITY, features(1))
    inputs = {"features": jnp.array([[0.0], [2.0], [-2.0]])}
    found = ability.function({}, inputs, KEY)
    p = 1 / (1 + np.exp(-np.array([0, 2, -2])))
    np.testing.assert_allclose(
        found["probability"], np.stack([1 - p, p], axis=1), rtol=1e-6
    )
    assert found["class"].tolist() == [0, 1, 0]
    with pytest.raises(UserError, match=r"logits.shape=\[2, 3, 4\]: expected \[B, C\]"):
        ability.function({}, {"features": jnp.zeros((2, 3, 4))}, KEY)


def test_tags_are_those_of_the_tokens_and_padding_has_none():
    model = fdl.types.Model(
        None, lambda variables, x, **_: (jax.nn.one_hot(x % 3, 3), {})
    )
    tokens = jax.ShapeDtypeStruct((4,), np.int32)
    inputs = fdl.data.preprocessing.arrays(tokens=tokens)
    ability = evaluation.tagger(
        model, inputs, classes=["noun", "verb", "other"], pad_token=0
    )
    texts = {"tokens": np.array([[4, 5, 6, 0], [3, 0, 0, 0], [0] * 4], np.int32)}
    found = evaluation.predict(ability, {}, texts)
    assert found["tag"].tolist() == [[1, 2, 0, -1], [0, -1, -1, -1], [-1] * 4]
    assert found["length"].tolist() == [3, 1, 0]
    row = next(evaluation.prediction_rows(found, ["1"], ability.outputs))
    assert row["tag"] == ["verb", "other", "noun", ""]
    with pytest.raises(UserError, match=r"logits.shape=\[1, 2\]: expected \[1, 4\]"):
        pooled = model._replace(apply=lambda *_, **__: (jnp.zeros((1, 2)), {}))
        evaluation.tagger(pooled, inputs).function({}, {"tokens": tokens_of(1)}, KEY)


def test_predictions_are_in_the_units_of_the_targets():
    ability = evaluation.regressor(IDENTITY, features(1), mean=10.0, std=2.0)
    found = ability.function({}, {"features": jnp.array([[0.0], [-1.5]])}, KEY)
    assert found["prediction"].tolist() == [10.0, 7.0]
    several = ability.function({}, {"features": jnp.ones((2, 3))}, KEY)
    assert several["prediction"].shape == (2, 3)


def test_of_several_inputs_one_has_to_be_named():
    spec = jax.ShapeDtypeStruct((1,), np.float32)
    two = fdl.data.preprocessing.arrays(a=spec, b=spec)
    with pytest.raises(UserError, match="inputs=None: expected the name of an input"):
        evaluation.classifier(IDENTITY, two)
    assert evaluation.only_input(two, "b") == "b"


WATCHED = {
    "f1": functools.partial(metrics.f1, average="macro", num_classes=10),
    "brier": metrics.brier_score,
}


@pytest.mark.parametrize("batch_size", [130, pytest.param(50, marks=pytest.mark.slow)])
def test_scores_of_examples_add_up_to_the_evaluation(
    batch_size, digits, variables, logits
):
    """Whatever the metric, and whether the last batch is full or not."""
    held_out = examples(digits, batch_size, **WATCHED)
    scores = evaluation.score_examples(held_out, variables)
    expected = evaluated(held_out, variables)
    assert {*scores} == {"loss", "accuracy", "f1", "brier"} == {*expected}
    for name, found in scores.items():
        assert len(found.sums) == 130
        whole = float(found.to_metric(found.sums.sum(axis=0)).compute())
        np.testing.assert_allclose(whole, expected[name], rtol=1e-5)
    right = np.argmax(logits, axis=-1) == digits["label"]
    np.testing.assert_array_equal(scores["accuracy"].values, right)


def test_examples_without_an_end_are_an_error(digits, variables):
    endless = examples(digits)._replace(batches=fdl.data.no_data())
    with pytest.raises(UserError, match="which have epochs"):
        evaluation.score_examples(endless, variables)


@pytest.mark.slow
def test_comparing_scores_is_comparing_logits(digits, variables, logits):
    """Against `metrics.paired_comparison` on the logits themselves."""
    held_out = examples(digits, **WATCHED)
    other = jax.tree.map(lambda x: 1.3 * x + 0.02, variables)
    first, second = (evaluation.score_examples(held_out, v) for v in (variables, other))
    images = digits["image"] / np.float32(16)
    pair = logits, jax.jit(MODEL.apply)(other, images)[0]
    for name, metric in {"accuracy": metrics.accuracy, **WATCHED}.items():
        ours = evaluation.compare(first[name], second[name], num_resamples=200)
        theirs = metrics.paired_comparison.compare(
            metric, *pair, digits["label"], num_resamples=200
        )
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
    ours = evaluation.changes(first["accuracy"], second["accuracy"])
    theirs = metrics.paired_comparison.changes(*pair, digits["label"])
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


def test_a_number_that_is_missing_is_null_or_empty():
    outputs = {"perplexity": np.array([np.nan, 2.5])}
    rows = [*evaluation.prediction_rows(outputs, ["a", "b"])]
    assert [row["perplexity"] for row in rows] == [None, 2.5]
    assert json.loads(evaluation.as_json(iter(rows[:1])))["perplexity"] is None
    assert evaluation.as_csv(iter(rows)) == "example,perplexity\na,\nb,2.5\n"


def test_tables_have_a_column_for_each_number_with_names_if_there_are():
    assert evaluation.as_csv(evaluation.prediction_rows(ANSWERS, ["a", "b,c"])) == (
        'example,class,probability_0,probability_1\na,1,0.1,0.9\n"b,c",0,0.75,0.25\n'
    )
    named = evaluation.as_csv(
        evaluation.prediction_rows(
            ANSWERS, ["a", "b"], dict.fromkeys(ANSWERS, ("cat", "dog"))
        )
    )
    assert named.splitlines()[:2] == [
        "example,class,probability_cat,probability_dog",
        "a,dog,0.1,0.9",
    ]


def of_dtype(dtype, columns=()):
    spec = jax.ShapeDtypeStruct((2,), dtype)
    inputs = fdl.data.preprocessing.arrays(features=spec)._replace(columns=columns)

    def square(variables, inputs, key):
        del variables, key
        return {"sum": jnp.square(inputs["features"]).sum(axis=-1)}

    return fdl.types.Ability(square, inputs)


@pytest.mark.parametrize(
    "dtype, number, message",
    [
        ("float64", 1e300, "'features', row 2, column 'b': expected numbers from -3.4"),
        ("int64", 2**40, "'features', row 2, column 'b': expected whole numbers from"),
        ("uint64", 2**40, "whole numbers from 0 to 4294967295 (uint32), got 1.09951e"),
        ("float32", 3e38, "'sum' is not finite in row 2, and in 1 of 3 in all; the "),
        ("float32", 3e38, "number of that row is 3e+38, of 'features', row 2, column"),
    ],
)
def test_numbers_beyond_32_bits_are_told(dtype, number, message):
    inputs = {"features": np.array([[1, 2], [3, number], [5, 6]], dtype)}
    with pytest.raises(UserError) as error:
        evaluation.predict(of_dtype(dtype, ("a", "b")), {}, inputs)
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", ["int64", "float64"])
def test_numbers_of_64_bits_that_fit_are_taken(dtype):
    inputs = {"features": np.array([[1, 2], [3, 4]], dtype)}
    found = evaluation.predict(of_dtype(dtype), {}, inputs)
    assert found["sum"].tolist() == [5, 25]
