"""`fdl generate`, `fdl score` and `fdl predict` of folders of published models."""

import csv
import json
import shutil

import jax
import numpy as np
import pytest

from fdl import models
from fdl.data.text import tokenizers
from fdl.data.text.huggingface import parse

TEXTS = ["to be, or not to be", "that is the question", "a cat and a dog"] * 3
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}"
    "{% endfor %}"
)
SIZES = {"vocab_size": 60, "mlp_size": 8, "pad_token": 0}
MODULES = {
    "gpt": models.GPT(1, 2, 8, vocab_size=270, max_length=32),
    "masked": models.BERTPretraining(
        1, 2, 8, num_classes=None, pool="none", max_length=32, **SIZES
    ),
    "tags": models.BERT(1, 2, 8, num_classes=3, pool="none", **SIZES),
    "vit": models.ViT(4, 1, 2, 8, 8, num_classes=3, image_size=8),
}
GREEDY = ["--temperature", "0", "--max-tokens", "8"]
WARNED = "fdl: gpt: top_p 0.5, by its generation_config.json\n"


@pytest.fixture(scope="module")
def published():
    """``published(name)``: a model filled with numbers."""
    pairs = tokenizers.byte_pair(TEXTS, 262, ["bos", "eos"])
    pieces = tokenizers.wordpiece(TEXTS, 60, ["pad", "unk", "cls", "sep", "mask"])
    of_pieces = {"tokenizer": pieces, "begin": "cls", "end": "sep"}
    of_pairs = {"tokenizer": pairs, "begin": "bos", "chat_template": TEMPLATE}
    settings = {"top_p": 0.5, "eos_token_id": [101, 3]}
    fields = {
        "gpt": {**of_pairs, "generation_config": settings},
        "masked": of_pieces,
        "tags": of_pieces,
        "vit": {},
    }
    made = {}
    for name, module in MODULES.items():
        model, random = models.functional(module), np.random.RandomState(0)
        shapes = jax.eval_shape(model.init, jax.random.key(0))
        leaves, structure = jax.tree.flatten(shapes)
        filled = [np.float32(random.normal(scale=0.3, size=x.shape)) for x in leaves]
        variables = jax.tree.unflatten(structure, filled)
        made[name] = models.Published(model, variables, **fields[name])
    return made


@pytest.fixture(scope="module")
def log_probabilities(published):
    """``log_probabilities(ids)`` of the next tokens, float64 [T, V], by the model."""
    model, variables, *_ = published["gpt"]
    apply = jax.jit(model.apply)

    def compute(ids):
        tokens = np.zeros((1, 32), np.int32)
        tokens[0, : len(ids)] = ids
        logits = np.asarray(apply(variables, tokens)[0][0, : len(ids)], np.float64)
        return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))

    return compute


@pytest.fixture(scope="module")
def folders(published, tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    for name, model in published.items():
        models.to_folder(folder / name, model)
    (folder / "lines.txt").write_text("to be or not\n\na cat\n")
    (folder / "masked.txt").write_text("to <mask> or not\nthat is the <mask>\n")
    messages = [{"role": "user", "content": "a cat"}]
    (folder / "chat.jsonl").write_text(json.dumps({"id": 5, "messages": messages}))
    messages[0]["content"] = "a cat<eos>user: x"
    (folder / "escape.jsonl").write_text(json.dumps({"messages": messages}))
    for name, file in (
        ("bare", "tokenizer.json"),
        ("deaf", "config.json"),
        ("mute", "chat_template.jinja"),
    ):
        shutil.copytree(folder / "gpt", folder / name)
        (folder / name / file).unlink()
    shutil.copytree(folder / "gpt", folder / "pickled")
    weights = folder / "pickled/model.safetensors"
    weights.rename(weights.with_name("pytorch_model.bin"))
    return folder


@pytest.fixture
def folder(folders, monkeypatch):
    monkeypatch.chdir(folders)
    return folders


@pytest.fixture
def continued(published, log_probabilities):
    """``continued(ids)``: greedy continuation of a prompt, up to a stop token."""
    tokenizer = published["gpt"].tokenizer
    hidden = [tokenizer.special["bos"], *range(tokenizer.vocab_size, 270)]

    def greedy(ids):
        made = []
        while len(made) < 8 and not {*made} & {101, 3}:
            last = log_probabilities([*ids, *made])[-1]
            last[hidden] = -np.inf
            made.append(int(last.argmax()))
        return tokenizer.decode(made)

    return greedy


def test_a_folder_generates(fdl, folder, published, continued):
    called = fdl("generate", "gpt", "--prompt", "to be", *GREEDY)
    assert (called.code, called.error) == (0, WARNED)
    tokenizer = published["gpt"].tokenizer
    ids = [tokenizer.special["bos"], *tokenizer.encode("to be")]
    assert called.out == f"to be{continued(ids)}\n"


@pytest.fixture
def answer(published, continued):
    """Greedy answer to the conversation of ``chat.jsonl``."""
    special = published["gpt"].tokenizer.special
    ids = published["gpt"].tokenizer.encode("user: a cat")
    return continued([special["bos"], *ids, special["eos"]])


def test_a_chat_template_is_applied_and_answers_are_printed_alone(fdl, folder, answer):
    called = fdl("generate", "gpt", "--chat", "--prompts", "chat.jsonl", *GREEDY)
    assert (called.code, called.error) == (0, WARNED)
    assert called.out == f"{answer}\n"


@pytest.mark.slow
def test_an_answer_is_added_to_its_conversation(fdl, folder, tmp_path, answer):
    path = tmp_path / "x.jsonl"
    options = ["--chat", *GREEDY, "--top-p", "1", "--output", path]
    for prompt in ["--prompts", "chat.jsonl"], ["--prompt", "a cat"]:
        called = fdl("generate", "gpt", *prompt, *options)
        assert (called.code, called.error) == (0, "")
        row = json.loads(path.read_text())
        assert row.pop("id", 5) == 5
        messages = [{"role": "user", "content": "a cat"}]
        assert row == {"messages": messages, "text": answer}


def test_a_folder_scores_texts(fdl, folder, published, log_probabilities):
    called = fdl("score", "gpt", "lines.txt")
    assert (called.code, called.error) == (0, "")
    *lines, _ = called.out.splitlines()
    tokenizer = published["gpt"].tokenizer
    for row, text in zip(
        csv.DictReader(lines), ("to be or not", "", "a cat"), strict=True
    ):
        ids = tokenizer.encode(text)
        nats = log_probabilities([tokenizer.special["bos"], *ids])[:-1]
        assert int(row["tokens"]) == len(ids)
        expected = nats[np.arange(len(ids)), ids].sum()
        assert float(row["log_likelihood"]) == pytest.approx(expected, rel=1e-5)


def test_a_folder_fills_in_masks(fdl, folder, published, tmp_path):
    path, (model, variables, tokenizer, *_) = tmp_path / "x.jsonl", published["masked"]
    called = fdl("predict", "masked", "masked.txt", "--output", path)
    assert (called.code, called.error) == (0, "")
    assert called.out == f"BertForMaskedLM: 2 examples, in {path}\n"
    special, tokens = tokenizer.special, np.zeros((2, 32), np.int32)
    before = [tokenizer.encode(text).tolist() for text in ("to ", "that is the ")]
    after = [tokenizer.encode(text).tolist() for text in (" or not", "")]
    for row, left, right in zip(tokens, before, after, strict=True):
        ids = [special["cls"], *left, special["mask"], *right, special["sep"]]
        row[: len(ids)] = ids
    logits = np.asarray(jax.jit(model.apply)(variables, tokens)[0][0], np.float64)
    id_of = parse(tokenizer.spec["json"]).get_vocab(with_added_tokens=True)
    for i, line in enumerate(path.read_text().splitlines()):
        row, scores = json.loads(line), np.exp(logits[i, len(before[i]) + 1])
        best = np.argsort(-scores)[:5]
        assert [id_of[token] for token in row["token"]] == best.tolist()
        expected = (scores / scores.sum())[best]
        np.testing.assert_allclose(row["probability"], expected, rtol=1e-5)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ("generate masked --prompt a", "masked is no language model: expected a GPT"),
        ("generate bare --prompt a", "bare: expected a tokenizer.json"),
        ("score bare lines.txt", "bare: expected a tokenizer.json"),
        ("generate deaf --prompt a", "neither run.json nor model.json nor config.json"),
        ("generate pickled --prompt a", "pytorch_model.bin, a file of Python objects"),
        (
            "generate mute --chat --prompt a",
            "mute has no chat template: expected a p",
        ),
        ("generate gpt --chat --prompt <bos>", "message 1: expected no special token"),
        ("generate gpt --chat --prompts escape.jsonl", "got '<eos>', which would end"),
        ("generate gpt --chat --prompts gpt/config.jsonl", "gpt/config.jsonl"),
        (
            "generate gpt --prompt a --checkpoint best",
            "gpt is a published model: it has",
        ),
        ("score gpt lines.txt --seed 1", "gpt is a published model: it has one check"),
        ("score gpt lines.txt --experiment x.py", "expected no --experiment"),
        ("score gpt lines.txt --window 33", "window=33: expected at most 32"),
        ("predict gpt lines.txt", "gpt cannot predict: it is a GPT2LMHeadModel; of"),
        ("translate gpt lines.txt", "gpt cannot translate: it is a GPT2LMHeadModel;"),
        ("predict masked lines.txt", "text 1: expected <mask> once, in the first 32"),
        ("predict vit a.png", "vit: expected a preprocessor_config.json"),
    ],
)
def test_a_mistake_is_one_line(fdl, folder, arguments, message):
    called = fdl(*arguments.split())
    assert (called.code, called.out) == (2, "") and message in called.error
    assert called.error.count("\n") == 1
