"""Fine-tuning as an experiment: of adapters and of all weights, held to its parts."""

import chex
import jax
import numpy as np
import pytest

import fdl
from fdl import models
from fdl.data import Splits
from fdl.data.text import Answer, pack_answers, tokenizers
from fdl.errors import UserError
from fdl.experiment import fine_tuning
from fdl.experiment.fine_tuning import _num_microbatches

TOKENIZER = tokenizers.characters("abcdefgh", ["pad", "eos"])
MODEL = models.functional(models.GPT(1, 2, 8, vocab_size=10, max_length=8))
WORDS = [(np.array([i, 8 - i]), np.array([i, i, 9])) for i in range(1, 8)]
ANSWERS = [Answer(*word) for word in WORDS]
PAIRS = [(Answer(p, a), Answer(p, a[::-1])) for p, a in WORDS]
KEY = jax.random.key(0)


def config(**changes):
    given = fdl.config.base()
    given.update({"num_steps": 2, "batch_size": 2, "length": 8, "method": "lora"})
    given.update({"optimizer": {"name": "adam", "learning_rate": 0.1}})
    given.update({"lora": {"rank": 2, "alpha": 4.0}, "num_microbatches": 2, **changes})
    return given


@pytest.fixture(scope="module")
def variables():
    return jax.device_get(jax.jit(MODEL.init)(KEY))


def made(variables, answers, **changes):
    splits = Splits(answers, answers[:3])
    return fine_tuning(config(**changes), MODEL, variables, TOKENIZER, splits)


@pytest.mark.slow
@pytest.mark.parametrize(
    "method", ["lora", pytest.param("all", marks=pytest.mark.slow)]
)
def test_a_run_gives_a_model_of_the_kind_of_the_base(method, variables):
    experiment = made(variables, ANSWERS, method=method)
    learner = experiment.learner
    before = jax.jit(learner.init)(KEY)
    state = fdl.train.run(learner, experiment.batches, num_steps=2)
    merged = jax.jit(learner.variables)(state)
    chex.assert_trees_all_equal_shapes_and_dtypes(merged, variables)
    ends = merged, variables
    embedding = [x["params"]["token_embedding"]["embedding"] for x in ends]
    assert (np.asarray(embedding[0]) == embedding[1]).all() == (method == "lora")
    chex.assert_trees_all_equal(jax.jit(learner.variables)(before), variables)

    found = experiment.evaluate(merged)
    rows = pack_answers(ANSWERS[:3], 8)
    objective = fdl.objectives.language_modelling(MODEL)
    loss, (_, metrics) = jax.jit(objective)(merged, rows)
    assert metrics["loss"].weight == 9
    np.testing.assert_allclose(found["loss"], loss, rtol=1e-5)
    assert found.keys() >= {"loss", "perplexity", "accuracy"}
    assert experiment.model is MODEL and "score" in experiment.abilities


@pytest.mark.slow
def test_preferences_begin_at_log_two_and_are_evaluated_beside_the_base(variables):
    experiment = made(variables, PAIRS, beta=2.0)
    at_first = experiment.evaluate(variables)
    np.testing.assert_allclose(at_first["loss"], np.log(2), rtol=1e-6)
    assert (at_first["accuracy"], at_first["margin"]) == (0, 0)
    state = fdl.train.run(experiment.learner, experiment.batches, num_steps=2)
    after = experiment.evaluate(jax.jit(experiment.learner.variables)(state))
    assert after["margin"] != 0 and after["loss"] != at_first["loss"]


@pytest.mark.parametrize("batch_size, parts", [(2, 2), (100, 3)])
def test_rows_fewer_than_a_batch_are_divided_as_far_as_they_can(batch_size, parts):
    of = config(batch_size=batch_size, num_microbatches=6 if parts == 3 else 2)
    assert _num_microbatches(of, 9 if parts == 3 else 2) == parts


@pytest.mark.parametrize(
    "answers, changes, message",
    [
        (ANSWERS, {"method": "some"}, "method='some': expected 'lora' or 'all'"),
        (ANSWERS, {"length": 9}, "length=9: expected at most 8, as the model has so"),
        (PAIRS, {"length": 9}, "length=9: expected at most 8, as the model has so"),
        (PAIRS, {"method": "all"}, "expected 'lora' for preferences"),
        (PAIRS, {"lora": {"whole": "norm"}}, "lora.whole='norm': expected none"),
        (
            [*ANSWERS, Answer(np.array([0]), np.array([10]))],
            {},
            "train: token 10: expected 0 to 9, as the model has vocab_size=10",
        ),
    ],
)
def test_what_does_not_fit_is_one_line(answers, changes, message, variables):
    with pytest.raises(UserError, match=message):
        made(variables, answers, **changes)
