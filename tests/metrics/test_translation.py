import pytest

from fdl import metrics
from fdl.errors import UserError

PROGRAMS = 1

PREDICTIONS = ["The cat sat on a mat.", "Ein Mann, der läuft", "", "a b c d e"]
REFERENCES = ["The cat sat on the mat.", "Ein Mann läuft .", "nothing", "a b c d e"]
# Of sacrebleu 2.6.0.
SCORES = {
    "bleu": (metrics.bleu, {}, 54.80883156772603),
    "bleu of characters": (
        metrics.bleu,
        {"lowercase": True, "tokenize": "char"},
        62.714810219915385,
    ),
    "chrf": (metrics.chrf, {}, 58.01895311407436),
    "chrf++": (metrics.chrf, {"word_order": 2}, 62.379255809790436),
}


@pytest.mark.parametrize("metric, options, expected", SCORES.values(), ids=SCORES)
def test_scores_are_those_of_sacrebleu(metric, options, expected):
    found = metric(PREDICTIONS, REFERENCES, **options)
    assert found.score == pytest.approx(expected, rel=1e-9)
    assert metric(PREDICTIONS, [REFERENCES], **options) == found
    assert metric(REFERENCES, REFERENCES, **options).score == pytest.approx(100)


def test_the_signature_says_how():
    signature = metrics.bleu(PREDICTIONS, REFERENCES).signature
    assert signature.startswith("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:")
    both = metrics.bleu(PREDICTIONS, [REFERENCES, PREDICTIONS])
    assert both.signature.startswith("nrefs:2|")
    assert both.score == pytest.approx(100)


@pytest.mark.parametrize(
    "predictions, references, message",
    [
        ([], [], "^predictions: expected a sequence of texts"),
        ("one text", ["one text"], "^predictions: expected a sequence of texts"),
        (["a"], ["a", "b"], r"^len\(predictions\)=1: expected 2"),
        (["a"], [], "^references: expected as many texts as predictions, got none"),
        (
            ["a", None],
            ["a", "b"],
            r"^predictions\[1\] of type NoneType: expected a text",
        ),
    ],
)
def test_mistakes_are_one_line(predictions, references, message):
    with pytest.raises(UserError, match=message):
        metrics.bleu(predictions, references)
