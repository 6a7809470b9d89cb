"""Texts are classified beside TF-IDF, fitted and scored by hand."""

import jax
import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.linear_model import LogisticRegression

import fdl
from fdl import data, evaluation, experiment
from fdl.data.text import tokenizers

# The validation texts are in training, too.
pytestmark = pytest.mark.filterwarnings("ignore::fdl.errors.DataWarning")

TEXTS = ["what is it ?", "who was it ?", "what is a dog", "who is he", "what !", "who"]
SPLITS = data.Splits(
    *(
        {"text": np.array(texts, object), "label": np.arange(len(texts)) % 2}
        for texts in (TEXTS, TEXTS[:2], ["what is he ?", "who was a dog ?", "it is he"])
    )
)
CONFIG = fdl.config.base()
CONFIG.update(
    {
        "num_steps": 1,
        "batch_size": 2,
        "optimizer": {},
        "max_length": 4,
        "word_dropout": 0.5,
        "baseline": True,
    }
)
KEY = jax.random.key(0)
TOKENIZER = tokenizers.words(TEXTS, ["unk", "pad"])


@pytest.fixture(scope="module")
def built():
    network = fdl.models.TextCNN(
        2, TOKENIZER.vocab_size, 2, (2,), 2, 0.0, pad_token=TOKENIZER.special["pad"]
    )
    return experiment.text_classification(
        CONFIG, SPLITS, TOKENIZER, network, classes=["thing", "person"]
    )


@pytest.fixture(scope="module")
def variables(built):
    learner = built.learner
    return jax.jit(lambda key: learner.variables(learner.init(key)))(KEY)


def test_tfidf_is_measured_beside_it(built, variables):
    found = built.test(variables)
    words = CountVectorizer(ngram_range=(1, 2), tokenizer=str.split, token_pattern=None)
    tfidf = TfidfTransformer()
    model = LogisticRegression(C=100, max_iter=1000)
    model.fit(tfidf.fit_transform(words.fit_transform(TEXTS)), SPLITS.train["label"])
    unseen = tfidf.transform(words.transform(SPLITS.test["text"]))
    expected = model.score(unseen, SPLITS.test["label"])
    assert found["tfidf_accuracy"] == expected
    ahead = found["accuracy"] - expected
    assert found["ahead_of_tfidf"] == pytest.approx(ahead, abs=1e-6)


def test_words_are_dropped_in_training_alone_and_texts_are_predicted(built, variables):
    tokens = np.tile(TOKENIZER.encode(TEXTS[0])[:4], (64, 1))
    batch = {"tokens": tokens, "label": np.zeros(64, np.int32)}

    @jax.jit
    def losses(key):
        objective = built.learner.objective
        return [objective(variables, batch, key, train=x)[0] for x in (True, False)]

    trained, evaluated = zip(
        *(losses(key) for key in (KEY, jax.random.key(1))), strict=True
    )
    assert trained[0] != trained[1] and evaluated[0] == evaluated[1]
    predict = built.abilities["predict"]
    read = data.preprocessing.encoder(predict.inputs)(["who ?", ""])
    assert evaluation.predict(predict, variables, read)["class"].shape == (2,)


def test_words_that_occur_once_are_unknown_to_a_network_of_the_zoo():
    config = CONFIG.copy_and_resolve_references()
    config.model = {"name": "TextCNN", "embedding_size": 2, "num_filters": 2}
    built = experiment.word_classification(config, SPLITS, ["thing", "person"])
    module = built.model.module
    assert module.vocab_size == 5 + 2 and module.num_classes == 2
    ability = built.abilities["predict"]
    assert [*ability.outputs["class"]] == ["thing", "person"]
    encode = data.encoder(ability.inputs)
    known, unknown = encode(["WHAT is it"])["tokens"], encode(["dog is it"])["tokens"]
    assert (known != unknown).tolist() == [[True, False, False, False]]
