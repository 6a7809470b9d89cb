"""Translation as an experiment, held to the same parts by hand."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest
import sacrebleu

import fdl
from fdl import evaluation, metrics, models
from fdl.data import Splits
from fdl.data.text import tokenizers
from fdl.errors import UserError
from fdl.experiment import Side, translation
from fdl.experiment.translation import SCORES, encode_pairs, kept

TEXTS = {
    "en": ["a dog", "dogs", "a cat", ""],
    "de": ["Hund", "Hunde", "eine Katze, die niemandem gehört", ""],
}
FEW = {name: column[:3] for name, column in TEXTS.items()}
ROLES = ["pad", "bos", "eos"]
ENGLISH = Side("en", tokenizers.characters(TEXTS["en"], ROLES))
GERMAN = Side("de", tokenizers.characters(TEXTS["de"], [*ROLES, "unk"]))
SIDES = ENGLISH, GERMAN
# More outputs than there are tokens, which are not to be generated.
NETWORK = models.Seq2Seq(
    4,
    embedding_size=3,
    readout_size=2,
    vocab_size=ENGLISH.tokenizer.vocab_size,
    target_vocab_size=GERMAN.tokenizer.vocab_size + 5,
    attention=False,
)


def config(**changes):
    given = fdl.config.base()
    given.update({"num_steps": 2, "batch_tokens": 32, "max_length": 8})
    given.update({"optimizer": {}, "num_buckets": 1, "num_translated": 3})
    given.update({"beam": {"num_beams": 2, "alpha": 1.0, "max_extra": 6}, **changes})
    return given


def make(network=NETWORK, sides=SIDES, splits=None, scores=SCORES, **changes):
    splits = splits or Splits(TEXTS, FEW, TEXTS)
    return translation(config(**changes), splits, *sides, network, scores=scores)


class Case(NamedTuple):
    """An experiment, variables of its model, and what it measures.

    Attributes:
      found: Translations that were scored: of the validation, and of the test.
    """

    experiment: fdl.Experiment
    variables: Any
    validation: Mapping[str, float]
    test: Mapping[str, float]
    found: list


@pytest.fixture(scope="module")
def case():
    found = []

    def keep(predictions, references):
        found.append((predictions, references))
        return 0.25

    experiment = make(scores={**SCORES, "kept": keep})
    found.clear()
    shapes = jax.eval_shape(experiment.model.init, jax.random.key(0))
    random = np.random.RandomState(0)
    # With which no two tokens are nearly as likely.
    variables = jax.tree.map(lambda x: np.float32(random.normal(size=x.shape)), shapes)
    measured = experiment.evaluate(variables), experiment.test(variables)
    return Case(experiment, variables, *measured, found)


def test_scores_are_those_of_sacrebleu(case):
    for measured, (texts, references) in zip(
        (case.validation, case.test), case.found, strict=True
    ):
        bleu = sacrebleu.corpus_bleu(texts, [references])
        chrf = sacrebleu.corpus_chrf(texts, [references])
        assert measured["bleu"] == pytest.approx(bleu.score, abs=1e-6)
        assert measured["chrf"] == pytest.approx(chrf.score, abs=1e-6)
        assert measured["kept"] == 0.25
    assert chrf.score > 0
    assert [x[1] for x in case.found] == [FEW["de"], TEXTS["de"]]
    assert case.found[0][0] == case.found[1][0][:3]


def test_each_token_of_the_test_counts_once_whatever_its_length(case):
    sources, targets = encode_pairs(TEXTS, SIDES)
    rows, mask = np.zeros((2, 4, 8), np.int32)
    inputs, labels, weights = np.zeros((3, 4, 40), np.int32)
    for i, (source, target) in enumerate(zip(sources, targets, strict=True)):
        rows[i, : len(source)], mask[i, : len(source)] = source, 1
        inputs[i, : len(target) - 1], labels[i, : len(target) - 1] = (
            target[:-1],
            target[1:],
        )
        weights[i, : len(target) - 1] = 1
    assert weights.sum() == sum(len(text) + 1 for text in TEXTS["de"])
    log_p = np.asarray(by_hand(case.variables, rows, inputs, mask.astype(bool)))
    own = np.take_along_axis(log_p, labels[..., None], axis=2).squeeze(2)
    expected = -(own * weights).sum() / weights.sum()
    assert case.test["loss"] == pytest.approx(expected, rel=1e-5)
    assert case.test["perplexity"] == pytest.approx(np.exp(expected), rel=1e-4)


@jax.jit
def by_hand(variables, source, target, mask):
    logits = NETWORK.apply(variables, source, target, source_mask=mask)
    return jax.nn.log_softmax(logits)


def test_the_ability_translates_as_the_experiment_does(case):
    ability = case.experiment.abilities["translate"]
    inputs = fdl.data.encoder(ability.inputs)(TEXTS["en"])
    seen = evaluation.predict(ability, case.variables, inputs)
    decode = GERMAN.tokenizer.decode
    pairs = zip(seen["tokens"], seen["length"], strict=True)
    made = [decode(tokens[:length]) for tokens, length in pairs]
    assert made == case.found[1][0] and len({*made}) > 1


def test_a_validation_of_one_pair_and_no_test_are_enough():
    one = {name: column[3:] for name, column in TEXTS.items()}
    assert make(splits=Splits(TEXTS, one, None)).test is None


def test_pairs_that_are_too_long_are_not_trained_on(case):
    sources, targets = pairs = encode_pairs(TEXTS, SIDES)
    bos, eos = (GERMAN.tokenizer.special[role] for role in ("bos", "eos"))
    assert sources[3].tolist() == [ENGLISH.tokenizer.special["eos"]]
    assert targets[3].tolist() == [bos, eos]
    assert [len(side) for side in kept(pairs, 8)] == [3, 3]
    batches = case.experiment.batches
    seen = [next(batches.stream(i)) for i in range(batches.steps_per_epoch)]
    assert sum(batch["mask"].sum() for batch in seen) == 3
    with pytest.raises(UserError, match=r"^max_length=0: expected some pair"):
        kept(pairs, 0)


def test_samples_tell_how_scores_were_computed(case):
    text = case.experiment.samples(case.variables)
    assert f"bleu is {metrics.bleu(['a'], ['a']).signature}" in text
    assert f"a dog -> {case.found[0][0][0]}" in text


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"sides": (Side("fr", ENGLISH.tokenizer), GERMAN)},
            "^there are no texts 'fr'",
        ),
        (
            {"network": NETWORK.clone(target_vocab_size=5)},
            r"^de: a tokenizer of \d+ tokens: expected at most 5, as many as the",
        ),
        (
            {"splits": Splits(TEXTS, {"en": ["dogs", "x!"], "de": ["", ""]}, None)},
            "^en, text 2: text: 'x' at character 0",
        ),
        (
            {"sides": (ENGLISH, Side("de", tokenizers.characters("abc")))},
            "^'bos': expected a role that the tokenizer declares",
        ),
        ({"batch_tokens": 5}, "^budget=5: expected an integer from"),
    ],
)
def test_what_is_wrong_is_told(changes, message):
    with pytest.raises(UserError, match=message):
        make(**changes)
