"""Abilities of published models: their numbers, and those of transformers."""

import jax
import numpy as np
import pytest
from PIL import Image

from fdl import data, evaluation, models
from fdl.data.text import tokenizers
from fdl.errors import UserError
from fdl.evaluation import published_abilities
from fdl.models.published.record import ImageInputs

TEXTS = ["to be, or not to be", "that is the question", "a cat and a dog"] * 3
LABELS = "bad", "fair", "good"
BERT = {"vocab_size": 60, "mlp_size": 8, "pad_token": 0, "epsilon": 1e-6}
IMAGES = ImageInputs((8, 8), (0.5, 0.4, 0.3), (0.2, 0.25, 0.5), "bicubic")
KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def tokenizer():
    return tokenizers.wordpiece(TEXTS, 60, ["pad", "unk", "cls", "sep", "mask"])


@pytest.fixture(scope="module")
def published(tokenizer):
    """``published(module, **fields)``: a model filled with numbers."""

    def make(module, **fields):
        model, random = models.functional(module), np.random.RandomState(0)
        shapes = jax.eval_shape(model.init, KEY)
        leaves, structure = jax.tree.flatten(shapes)
        filled = [np.float32(random.normal(scale=0.3, size=x.shape)) for x in leaves]
        variables = jax.tree.unflatten(structure, filled)
        if "images" not in fields:
            fields = {"tokenizer": tokenizer, "begin": "cls", "end": "sep", **fields}
        return models.Published(model, variables, **fields)

    return make


@pytest.fixture(scope="module")
def classes(published, tokenizer):
    sizes = {**BERT, "max_length": 40, "pad_token": tokenizer.special["pad"]}
    module = models.BERT(1, 2, 8, num_classes=3, **sizes)
    return published(module, labels=LABELS)


@pytest.fixture
def picture(tmp_path):
    pixels = np.random.RandomState(0).randint(0, 256, (21, 30, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    return tmp_path / "x.png"


@pytest.fixture(scope="module")
def vit(published):
    module = models.ViT(4, 1, 2, 8, 8, num_classes=3, image_size=8, epsilon=1e-6)
    return published(module, labels=LABELS, images=IMAGES)


def softmax(logits):
    exp = np.exp(np.asarray(logits, np.float64))
    return exp / exp.sum(axis=-1, keepdims=True)


def test_texts_are_classified_in_rows_as_short_as_they_allow(classes):
    # Padding is what the tokenizer says, whatever the config does.
    module = classes.model.module.clone(pad_token=3)
    ability = published_abilities(classes._replace(model=models.functional(module)))[
        "predict"
    ]
    assert ability.outputs == {"class": LABELS, "probability": LABELS}
    encode, function = data.encoder(ability.inputs), jax.jit(ability.function)
    apply = jax.jit(classes.model.apply)
    for texts in ["to be or not", ""], ["a cat", "that is the question " * 9]:
        tokens = encode(texts)["tokens"]
        found = function(classes.variables, {"tokens": tokens}, KEY)
        expected = softmax(apply(classes.variables, tokens)[0])
        np.testing.assert_allclose(found["probability"], expected, rtol=1e-4)
        assert found["class"].tolist() == expected.argmax(axis=-1).tolist()


@pytest.fixture(scope="module")
def tagger(published, tokenizer):
    sizes = {**BERT, "max_length": 40, "pad_token": tokenizer.special["pad"]}
    module = models.BERT(1, 2, 8, num_classes=3, pool="none", **sizes)
    return published(module, labels=LABELS)


def test_tokens_are_classified_without_those_around_a_text(tagger):
    model, ability = tagger, published_abilities(tagger)["predict"]
    tokens = data.encoder(ability.inputs)(["a cat and a dog", ""])
    found = jax.jit(ability.function)(model.variables, tokens, KEY)
    logits, _ = jax.jit(model.model.apply)(model.variables, tokens["tokens"])
    n = int(found["length"][0])
    assert found["length"].tolist() == [n, 0] and n >= 5
    inside = slice(1, n + 1)
    tokens, expected = tokens["tokens"][0, inside], softmax(logits)[0, inside]
    assert found["token"][0, :n].tolist() == tokens.tolist()
    assert found["tag"][0, :n].tolist() == expected.argmax(axis=-1).tolist()
    np.testing.assert_allclose(
        found["probability"][0, :n], expected.max(axis=-1), rtol=1e-4
    )
    assert (found["tag"][0, n:] == -1).all() and (found["tag"][1] == -1).all()


def test_images_are_resized_and_normalised_as_the_folder_says(vit, picture):
    ability = published_abilities(vit)["predict"]
    inputs, _ = data.read_inputs(ability.inputs, [picture])
    (found,) = evaluation.predict(ability, vit.variables, inputs)["probability"]
    small = Image.open(picture).resize((8, 8), Image.Resampling.BICUBIC)
    values = (np.asarray(small) / 255 - IMAGES.mean) / IMAGES.std
    logits, _ = jax.jit(vit.model.apply)(vit.variables, np.float32(values)[None])
    np.testing.assert_allclose(found, softmax(logits)[0], rtol=1e-5)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"tokenizer": None}, "expected a tokenizer.json, of the texts"),
        ({"config": {"problem_type": "regression"}}, "problem_type='regression': exp"),
    ],
)
def test_what_cannot_be_asked_for_is_one_line(changes, message, classes):
    with pytest.raises(UserError, match=message):
        published_abilities(classes._replace(**changes))


def test_a_single_label_is_a_regression(published):
    module = models.BERT(1, 2, 8, num_classes=1, **BERT)
    with pytest.raises(UserError, match="problem_type='regression': expected 'single"):
        published_abilities(published(module))
    assert published_abilities(published(module.clone(num_classes=None))) == {}


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["text-classification", "fill-mask", "image"])
def test_answers_are_those_of_the_pipelines_of_transformers(
    name, classes, vit, published, picture, tmp_path
):
    hf = pytest.importorskip("transformers")
    masked = models.BERTPretraining(
        1, 2, 8, num_classes=None, pool="none", max_length=40, **BERT
    )
    texts = ["to be <mask> not", "a <mask>, and"]
    if name == "text-classification":
        model, texts = classes, ["to be or not to be", "a cat, and A DOG"]
    elif name == "fill-mask":
        model = published(masked)
    else:
        name, model, texts = "image-classification", vit, [str(picture)]
    models.to_folder(tmp_path / "model", model)
    pipeline = hf.pipeline(name, str(tmp_path / "model"))
    ability = published_abilities(models.from_folder(tmp_path / "model"))["predict"]
    if name == "image-classification":
        inputs, _ = data.read_inputs(ability.inputs, texts)
    else:
        inputs = data.encoder(ability.inputs)(texts)
    found = evaluation.predict(ability, model.variables, inputs)
    for i, expected in enumerate(pipeline(texts, top_k=5)):
        scores = [answer["score"] for answer in expected]
        if name == "fill-mask":
            names = ability.outputs["token"]
            tokens = [answer["token"] for answer in expected]
            assert found["token"][i].tolist() == tokens
            assert [names[t] for t in tokens] == [x["token_str"] for x in expected]
            numbers = found["probability"][i]
        else:
            order = [LABELS.index(answer["label"]) for answer in expected]
            assert found["class"][i] == order[0]
            numbers = found["probability"][i][order]
        # Images are rounded to bytes, in another place.
        tolerance = 1e-2 if name.startswith("image") else 1e-5
        np.testing.assert_allclose(numbers, scores, rtol=tolerance)
        print(name, np.abs(numbers / scores - 1).max())


@pytest.mark.oracle
def test_tags_are_those_of_the_pipeline_of_transformers(tagger, tmp_path):
    hf = pytest.importorskip("transformers")
    models.to_folder(tmp_path / "model", tagger)
    pipeline = hf.pipeline("token-classification", str(tmp_path / "model"))
    ability = published_abilities(models.from_folder(tmp_path / "model"))["predict"]
    texts = ["to be or not", "a cat, and a dog"]
    inputs = data.encoder(ability.inputs)(texts)
    found = evaluation.predict(ability, tagger.variables, inputs)
    for i, expected in enumerate(pipeline(texts)):
        n = found["length"][i]
        words, tags = (
            [ability.outputs[name][j] for j in found[name][i][:n]]
            for name in ("token", "tag")
        )
        assert words == [x["word"] for x in expected]
        assert tags == [x["entity"] for x in expected]
        scores = [x["score"] for x in expected]
        np.testing.assert_allclose(found["probability"][i][:n], scores, rtol=1e-5)
