"""Language models as experiments, held to the same parts by hand."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fdl
from fdl import models
from fdl.data import Splits
from fdl.data.text import load_tokens, tokenizers
from fdl.errors import UserError
from fdl.experiment.language import language_modelling

TEXT = "to be, or not to be: that is the question\n" * 3
TOKENIZER = tokenizers.characters(TEXT, ["pad"])
TOKENS = TOKENIZER.encode(TEXT)
SPLITS = Splits(TOKENS, TOKENS[:37], TOKENS[:20])


def config(**changes):
    given = fdl.config.base()
    given.update({"num_steps": 2, "batch_size": 3, "length": 5, "optimizer": {}})
    given.update(changes)
    return given


def network(vocab_size=TOKENIZER.vocab_size):
    return models.RNNLanguageModel(4, vocab_size=vocab_size)


@pytest.fixture(scope="module")
def trained():
    sample = {"prompt": "to", "max_tokens": 9, "top_k": 3}
    given = config(carry=True, eval_length=8, sample=sample)
    # More outputs than tokens, as a network may have whose size is given.
    larger = network(TOKENIZER.vocab_size + 40)
    experiment = language_modelling(given, SPLITS, TOKENIZER, larger)
    state = fdl.train.run(experiment.learner, experiment.batches, num_steps=2)
    return experiment, state.variables


def test_each_token_of_a_text_counts_once(trained):
    experiment, variables = trained
    total = 0.0
    for start in range(0, 36, 8):  # Windows of eight targets, the last of four.
        window = TOKENS[start : min(start + 9, 37)]
        logits, _ = experiment.model.apply(variables, window[None, :-1])
        log_p = jax.nn.log_softmax(logits[0].astype(jnp.float32))
        total -= float(log_p[jnp.arange(len(window) - 1), window[1:]].sum())
    found = experiment.evaluate(variables)
    assert found["loss"] == pytest.approx(total / 36, rel=1e-5)
    assert found["perplexity"] == pytest.approx(np.exp(total / 36), rel=1e-5)
    # A character of this text is a byte.
    for unit in ("character", "byte"):
        bits = total / 36 / np.log(2)
        assert found[f"bits_per_{unit}"] == pytest.approx(bits, rel=1e-5)


def test_samples_go_on_from_the_prompt_in_the_same_way_each_time(trained):
    experiment, variables = trained
    text = experiment.samples(variables)
    assert text == experiment.samples(variables)
    assert text.startswith("to") and len(text) == 11
    assert {*text} <= {*TEXT}


def test_the_recurrent_state_goes_on_from_batch_to_batch(trained):
    experiment, variables = trained
    assert experiment.batches.per_step == 15
    assert any(jnp.any(leaf != 0) for leaf in jax.tree.leaves(variables["carry"]))


def test_a_token_without_an_output_is_refused():
    with pytest.raises(UserError, match=r"train: token \d+: expected 0 to 4, as the"):
        language_modelling(config(), SPLITS, TOKENIZER, network(5))


def test_a_text_of_one_token_is_refused():
    splits = SPLITS._replace(validation=TOKENS[:1])
    with pytest.raises(UserError, match="tokens: expected at least 2, got 1"):
        language_modelling(config(), splits, TOKENIZER, network())


def test_a_prompt_of_samples_is_checked_before_training():
    with pytest.raises(UserError, match="prompt 1: text: 'z' at character 0"):
        language_modelling(config(sample={"prompt": "z"}), SPLITS, TOKENIZER, network())


def test_texts_are_ended_where_the_tokenizer_has_a_token_for_that(monkeypatch):
    texts = {"train": ["ab", ""], "validation": ["b"], "test": ["a", "ba"]}
    monkeypatch.setattr(
        "fdl.data.text.token_splits.load",
        lambda name, split: {"text": np.array(texts[split], object)},
    )
    make = partial(tokenizers.characters, special=["eos"])
    splits, tokenizer = load_tokens("any", make)
    assert tokenizer.special == {"eos": 2}
    assert [part.tolist() for part in splits] == [
        [0, 1, 2, 2],
        [1, 2],
        [0, 2, 1, 0, 2],
    ]
    assert load_tokens("any", make, test=None)[0].test is None
    with pytest.raises(UserError, match=r"any has no 'texts'\. Did you mean 'text'"):
        load_tokens("any", make, feature="texts")
