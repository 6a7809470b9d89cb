"""`fdl translate`, as it is called, of an export."""

import json
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fdl as package
from fdl import generation
from fdl.data.text import tokenizers
from fdl.generation import Translation
from fdl.runs.export_model import export_model
from fdl.runs.trained_model import TrainedModel, load_trained

PROGRAMS = 40
LETTERS = "abc \n"
TEXT = "ab ca\n\n \nc\nabcabc\n"


def trained_model(tokenizer, name="translate", seed=0):
    """A network that is not trained."""
    module = package.models.Seq2Seq(
        3,
        vocab_size=tokenizer.vocab_size,
        embedding_size=2,
        readout_size=2,
        attention=False,
    )
    example = jnp.zeros((1, 8), jnp.int32)
    model = package.models.functional(module, example, example)
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    random = np.random.RandomState(seed)
    variables = jax.tree.map(lambda x: np.float32(random.normal(size=x.shape)), shapes)
    preprocessing = package.data.preprocessing.text(tokenizer, 8, end="eos")
    ability = package.evaluation.translator(
        model, preprocessing, num_beams=2, max_extra=0
    )
    return TrainedModel("letters", model, variables, {name: ability}, 7)


@pytest.fixture(scope="module")
def models():
    tokenizer = tokenizers.characters(LETTERS, ["pad", "bos", "eos"])
    other = tokenizers.characters("d" + LETTERS, ["pad", "bos", "eos"])
    return {
        "first": trained_model(tokenizer),
        "second": trained_model(tokenizer, seed=1),
        "mute": trained_model(tokenizer, name="predict"),
        "other": trained_model(other),
    }


@pytest.fixture(scope="module")
def exported(models, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    export_model(models["first"], folder / "model", experiment={})
    (folder / "lines.txt").write_text(TEXT)
    (folder / "wrong.txt").write_text("ab\nx\n")
    (folder / "long.txt").write_text("ab\n" + "a" * 2000 + "\n")
    (folder / "empty.txt").write_text("")
    return folder


@pytest.fixture
def folder(models, exported, monkeypatch):
    """A folder with a real export; some models are there without one."""
    monkeypatch.chdir(exported)

    def load(path, **options):
        return models.get(path) or load_trained(path, **options)

    monkeypatch.setattr("fdl.cli.translation_models.load_trained", load)


@pytest.fixture
def calls(monkeypatch):
    """Calls of `translate`, which answers in capitals in place of a model."""
    made = []

    def translate(decoder, variables, texts, tokenizer, **options):
        made.append((decoder, variables, texts, options))
        none = np.zeros(0, np.int32)
        numbers = range(options["num_best"])
        return [
            [Translation(text.upper() + "\n" * i, -0.5 - i, none) for i in numbers]
            for text in texts
        ]

    monkeypatch.setattr(generation, "translate", translate)
    return made


def test_a_file_is_translated_line_by_line(fdl, folder, monkeypatch):
    found = []

    def translate(*arguments, real=generation.translate, **options):
        found.extend(real(*arguments, **options))
        return found

    monkeypatch.setattr(generation, "translate", translate)
    called = fdl("translate", "model", "lines.txt", "--num-best", "2")
    assert (called.code, called.error) == (0, "")
    rows = [row.split("\t") for row in called.out.split("\n")[:-1]]
    assert [row[0] for row in rows] == ["1", "1", "2", "3", "4", "4", "5", "5"]
    best = [each for of_line in found for each in of_line]
    assert len(best) == 6 and max(len(each.tokens) for each in best) > 3
    for row, each in zip(rows[:2] + rows[4:], best, strict=True):
        assert float(row[1]) == pytest.approx(each.score, abs=1e-4)
        assert row[2] == each.text.replace("\n", " ")


def test_lines_keep_their_order_and_empty_ones_are_empty(fdl, folder, calls):
    called = fdl("translate", "model", "lines.txt")
    assert (called.code, called.out) == (0, "AB CA\n\n\nC\nABCABC\n")
    ((_, _, texts, options),) = calls
    assert texts == ["ab ca", "c", "abcabc"]
    options["length_penalty"] = options["length_penalty"](7.0)
    assert options.pop("target_tokenizer").vocab_size == len(LETTERS) + 3
    assert options == {
        "begin": "bos",
        "end": "eos",
        "num_beams": 2,
        "num_best": 1,
        "length_penalty": 2**0.6,
        "max_extra": 0,
    }


def test_the_search_is_as_asked_for(fdl, folder, calls):
    options = ["--num-beams", "3", "--num-best", "2", "--alpha", "1"]
    called = fdl("translate", "model", "lines.txt", *options)
    assert (called.code, called.error) == (0, "")
    # One line each, whatever the model makes.
    assert called.out.startswith("1\t-0.5000\tAB CA\n1\t-1.5000\tAB CA \n2\t\t\n3\t")
    ((_, _, _, options),) = calls
    assert (options["num_beams"], options["num_best"]) == (3, 2)
    assert options["length_penalty"](7.0) == 2.0


def test_an_ensemble_writes_json_lines(fdl, folder, models, calls, tmp_path):
    arguments = ["--with", "second", "--output", tmp_path / "x.jsonl"]
    called = fdl("translate", "first", "lines.txt", *arguments)
    assert (called.code, called.error) == (0, "")
    assert "5 texts, 5 translations, in" in called.out
    rows = [json.loads(x) for x in (tmp_path / "x.jsonl").read_text().splitlines()]
    assert rows[:2] == [
        {"line": 1, "source": "ab ca", "translation": "AB CA", "score": -0.5},
        {"line": 2, "source": "", "translation": "", "score": None},
    ]
    ((decoder, variables, _, _),) = calls
    assert variables == [models["first"].variables, models["second"].variables]
    assert decoder.vocab_size == len(LETTERS) + 3


def test_lines_are_answered_as_they_come(folder, calls, capfd, monkeypatch):
    answers = []

    def lines():
        yield "\ufeffab ca\r\n".encode()
        answers.append(capfd.readouterr().out)
        yield b"\n"
        answers.append(capfd.readouterr().out)
        yield b"c"

    stdin = types.SimpleNamespace(buffer=lines(), isatty=lambda: False)
    monkeypatch.setattr("sys.stdin", stdin)
    assert package.cli.main(["translate", "first"]) == 0
    answers.append(capfd.readouterr().out)
    assert answers == ["AB CA\n", "\n", "C\n"]


def test_what_is_no_utf8_is_told_with_its_line(fdl, folder, monkeypatch):
    stdin = types.SimpleNamespace(buffer=[b"\n", b"\xff\n"], isatty=lambda: False)
    monkeypatch.setattr("sys.stdin", stdin)
    called = fdl("translate", "first")
    assert (called.code, called.out) == (2, "\n")
    assert "standard input, line 2: expected text in UTF-8, got 0xff" in called.error


def test_a_text_beyond_the_training_is_told(fdl, folder, calls, tmp_path):
    (tmp_path / "x.txt").write_text("ab\nabcabcab\n")
    called = fdl("translate", "first", tmp_path / "x.txt")
    assert (called.code, called.out) == (0, "AB\nABCABCAB\n")
    assert called.error.startswith("fdl: text 2 has 9 tokens, and the longest that")
    assert called.error.count("\n") == 1


@pytest.mark.parametrize(
    "arguments, message",
    [
        ("mute lines.txt", "mute cannot translate: it has predict"),
        ("first none.txt", "none.txt: expected a file"),
        ("first empty.txt", "expected lines, got an empty file"),
        ("first wrong.txt", "text 2: text: 'x' at character 0"),
        ("first long.txt", "2001 tokens: expected at most 1024"),
        ("first lines.txt --with other", "other has another tokenizer than first"),
        ("first lines.txt --num-best 3", "--num-best=3: expected 1 to 2, as many as"),
        ("first lines.txt --num-beams 0", "--num-beams=0: expected an integer from 1"),
        ("first lines.txt --alpha nan", "--alpha=nan: expected at most 10"),
        ("model lines.txt --average 2", "model is an export: it has one checkpoint"),
        ("first lines.txt --output x.txt", "expected a name with .jsonl"),
        ("first --column en", "--column=en: expected a FILE"),
    ],
)
def test_a_mistake_is_one_line(fdl, folder, arguments, message):
    called = fdl("translate", *arguments.split())
    assert (called.code, called.out) == (2, "") and message in called.error
    assert called.error.count("\n") == 1
