"""`fdl generate` and `fdl score`, as they are called, of an export."""

import csv
import io
import json

import jax
import numpy as np
import pytest

import fdl as package
from fdl.data.text import tokenizers
from fdl.runs.export_model import export_model
from fdl.runs.trained_model import TrainedModel

PROGRAMS = 120
TEXT = "to be or not\nto be\n\nor not to be at all\n"


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    tokenizer = tokenizers.characters(TEXT, ["pad"])
    module = package.models.RNNLanguageModel(6, vocab_size=tokenizer.vocab_size - 1)
    model = package.models.functional(module)
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    random = np.random.RandomState(0)
    variables = jax.tree.map(lambda x: np.float32(random.normal(size=x.shape)), shapes)
    preprocessing = package.data.preprocessing.text(tokenizer, 9)
    score = package.evaluation.language_model(model, preprocessing)
    for name, ability in ("model", "score"), ("mute", "rate"):
        trained = TrainedModel("letters", model, variables, {ability: score}, 7)
        export_model(trained, folder / name, experiment={})
    (folder / "lines.txt").write_text(TEXT)
    (folder / "wrong.txt").write_text("to be\n" * 40 + "xyz\n")
    return folder


@pytest.fixture
def folder(exported, monkeypatch):
    monkeypatch.chdir(exported)
    return exported


def test_a_prompt_is_continued_on_the_terminal(fdl, folder):
    options = ["--max-tokens", "20", "--temperature", "0.7", "--top-k", "5"]
    called = fdl("generate", "model", "--prompt", "to be", *options)
    assert (called.code, called.error) == (0, "")
    assert called.out.startswith("to be") and len(called.out) == len("to be") + 21
    assert fdl("generate", "model", "--prompt", "to be", *options).out == called.out
    other = fdl("generate", "model", "--prompt", "to be", *options, "--seed", "1")
    assert other.out != called.out


def test_prompts_of_a_file_become_json_lines(fdl, folder, tmp_path):
    (tmp_path / "prompts.txt").write_text("to be\nor\n")
    arguments = ["--prompts", tmp_path / "prompts.txt", "--num", "2"]
    arguments += ["--max-tokens", "20", "--top-p", "0.9", "--min-p", "0.01"]
    arguments += ["--repetition-penalty", "1.2", "--stop", "t"]
    called = fdl("generate", "model", *arguments, "--output", tmp_path / "x.jsonl")
    assert (called.code, called.error) == (0, "") and "4 texts, in" in called.out
    rows = [json.loads(x) for x in (tmp_path / "x.jsonl").read_text().splitlines()]
    assert [row["prompt"] for row in rows] == ["to be", "to be", "or", "or"]
    assert not any("t" in row["text"] for row in rows)
    shown = fdl("generate", "model", *arguments).out
    assert shown == "".join(row["prompt"] + row["text"] + "\n" for row in rows)
    given = ["--prompt", "to be", "--prompt", "or", *arguments[2:]]
    assert fdl("generate", "model", *given).out == shown


@pytest.mark.slow
def test_beams_have_the_best_text_first(fdl, folder):
    options = ["--beams", "3", "--num", "2", "--max-tokens", "6"]
    called = fdl("generate", "model", "--prompt", "or", *options)
    assert called.code == 0
    first, second = called.out.removesuffix("\nor\n").split("\nor", maxsplit=1)
    assert first != second and first.startswith("or")


def test_lines_are_scored_and_the_whole_file(fdl, folder, tmp_path):
    called = fdl("score", "model", "lines.txt", "--output", tmp_path / "x.csv")
    assert (called.code, called.error) == (0, "")
    rows = [*csv.DictReader(io.StringIO((tmp_path / "x.csv").read_text()))]
    lines = TEXT.split("\n")[:-1]
    assert [row["tokens"] for row in rows] == [str(max(0, len(x) - 1)) for x in lines]
    trained = package.load_model("model")
    ability = trained.abilities["score"]
    inputs = package.data.encoder(ability.inputs)(["to be"])
    expected = package.evaluation.predict(ability, trained.variables, inputs)
    assert float(rows[1]["log_likelihood"]) == pytest.approx(
        expected["log_likelihood"][0], rel=1e-5
    )
    ids = package.data.preprocessing.tokenizer_of(ability.inputs).encode(TEXT)
    total, count = package.evaluation.log_likelihoods(
        trained.model, trained.variables, [ids], window=8
    )
    loss = -total[0] / count[0]
    assert f"{count[0]} tokens: loss {loss:.4f}, perplexity" in called.out
    bits = (
        loss * count[0] / np.log(2) / (len(TEXT) - 1)
    )  # The first character has no likelihood.
    assert called.out.endswith(f"{bits:.4f} bits per byte\n")


def test_bytes_are_those_of_the_tokens_that_count(fdl, folder, tmp_path):
    (tmp_path / "x.txt").write_text("\ufeffto", encoding="utf-8")
    summary = fdl("score", "model", tmp_path / "x.txt").out.splitlines()[-1]
    loss = float(summary.partition("loss ")[2].partition(",")[0])
    bits = float(summary.split()[-4])
    assert bits == pytest.approx(loss / np.log(2), abs=2e-4)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ("generate mute --prompt a", "mute is no language model: expected"),
        ("generate model", "one of the arguments --prompt --prompts is required"),
        ("generate model --prompt xyz", "prompt 1: "),
        ("generate model --prompt=", "prompt 1 is empty: expected a text"),
        ("generate model --prompt a --top-p 2", "top_p=2.0: expected"),
        ("generate model --prompt a --beams 2 --num 3", "--num=3: expected 1 to --b"),
        ("generate model --prompt a --beams 2 --top-p 0.5", "--top-p: expected none"),
        ("generate model --prompt a --num 0", "--num=0: expected an integer from 1"),
        ("generate model --prompt a --seed 4294967296", "--seed=4294967296: expected"),
        ("generate model --prompt a --stop=", "stop='': expected at least one"),
        ("generate model --prompts wrong.txt", "prompt 41: text: 'x' at character 0"),
        ("generate model --prompt a --output x.txt", "expected a name with .jsonl"),
        ("generate model --prompts none.txt", "none.txt"),
        ("score model none.txt", "none.txt"),
        ("score model lines.txt --stride 9", "stride=9: expected 1 to 8"),
        ("score mute lines.txt", "expected the ability score; its abilities: rate"),
    ],
)
def test_a_mistake_is_one_line(fdl, folder, arguments, message):
    called = fdl(*arguments.split())
    assert (called.code, called.out) == (2, "") and message in called.error
    assert called.error.count("\n") == 1 or "usage" in called.error
