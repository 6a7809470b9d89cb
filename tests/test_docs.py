"""Every code block of the documentation runs, and gives the output that it shows.

The blocks of a page run in order, in a folder of their own: ``python`` in one
namespace, and one that begins with ``# name.py`` is written to that file as well;
``sh`` line by line. In the place of a command that takes long, its experiment is shown;
one that reads a run or a file that is not there is parsed. A ``text`` block right after
one of these is its output, in which numbers are compared to the digits that are shown.
"""

import argparse
import ast
import contextlib
import decimal
import io
import os
import pathlib
import re
import shlex

import chex
import jax
import numpy as np
import pytest

from fdl import cli, models
from fdl.runs.experiment_files import files, name_of

PROGRAMS = 440

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCED = r"^```{}\n(.*?)^```\n"
BLOCK = re.compile(
    FENCED.format(r"(\w*)") + rf"(?:\n{FENCED.format('text')})?",
    re.MULTILINE | re.DOTALL,
)
NUMBER = re.compile(r"\d+(?:\.\d*)?(?:e[-+]?\d+)?")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty folder, but for the experiments."""
    cache = pathlib.Path(jax.config.jax_compilation_cache_dir).parent
    monkeypatch.setenv("FDL_CACHE_DIR", str(cache))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr("fdl.runs.process.keep_freed_memory", lambda: False)
    # Half of the time of a small run, and tested elsewhere.
    monkeypatch.setattr("fdl.cli.train.draw_plots", lambda *_, **__: None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiments").symlink_to(ROOT / "experiments")
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_runs_and_gives_its_output(page, folder):
    if page.stem == "models":
        write_weights(folder)
    scope = run(page.read_text())
    if page.stem == "README":
        check_learned(scope)
    if page.stem == "models":
        check_weights(scope)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_in_a_sentence_parses(page):
    text = BLOCK.sub("", page.read_text())
    for command in re.findall(r"`((?:\./scripts/)?fdl\s[^`]+)`", text):
        name, *rest = shlex.split(command)[1:]
        assert name in (*cli.COMMANDS, "--help")
        assert not rest or parse([name, *rest])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_leads_to_a_file(page):
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text()):
        assert (page.parent / target).is_file(), target


def test_every_experiment_and_command_is_described():
    experiments = (ROOT / "docs/experiments.md").read_text()
    for path in files(str(ROOT / "experiments")):
        assert f"`{name_of(path)}`" in experiments
    commands = (ROOT / "docs/commands.md").read_text()
    for command in cli.COMMANDS:
        assert f"| `fdl {command}" in commands


def test_outputs_differ_by_what_is_not_written_only():
    assert same("a [0.123, 2]", "a [0.12,\n 2]")
    for got in ("a [0.14, 2]", "a [0.12, 3]", "b [0.12, 2]", "a [0.12, 2, 2]"):
        assert not same(got, "a [0.12, 2]")


def check_learned(scope):
    metrics = scope["evaluate"](scope["learner"].variables(scope["state"]))
    assert 0.94 < metrics["accuracy"] < 1.0
    assert np.isfinite(metrics["loss"])


def check_weights(scope):
    """All weights are those of the files, and what was saved; a new head is its own."""
    chex.assert_trees_all_equal(scope["weights"], random_variables(models.resnet18()))
    again, report = models.load("mine.safetensors", into=scope["module"])
    assert report.format == "timm"
    chex.assert_trees_all_equal(again, scope["variables"])
    published = random_variables(models.vit_ti16())
    del again["params"]["head"], published["params"]["head"]
    chex.assert_trees_all_equal(again, published)


def write_weights(folder):
    """Writes files as they are published, but of random numbers."""
    for name, published in (("resnet18", "torchvision"), ("vit_ti16", "timm")):
        module = getattr(models, name)()
        path = folder / f"{name}.safetensors"
        models.save(path, random_variables(module), of=module, format=published)


def random_variables(module):
    random = np.random.default_rng(0)
    shapes = jax.eval_shape(models.functional(module).init, jax.random.key(0))
    return jax.tree.map(lambda x: random.random(x.shape, dtype="f4"), shapes)


def run(text):
    """Runs the blocks of a page; returns its namespace."""
    scope: dict = {}
    for language, code, output in BLOCK.findall(text):
        if language == "python":
            got = run_python(code, scope)
        elif language == "sh":
            got = "".join(run_line(line) for line in code.splitlines())
        else:
            assert language == "text"
            continue
        assert not output or same(got, output), f"{code}\ngave\n{got}"
    return scope


def run_python(code, scope):
    """Runs a block as a notebook does; returns what it prints, and its last value."""
    if file := re.match(r"# (\w+\.py)\n", code):
        pathlib.Path(file.group(1)).write_text(code)
    *statements, last = ast.parse(code).body
    value = None
    with contextlib.redirect_stdout(io.StringIO()) as out:
        if not isinstance(last, ast.Expr):
            statements.append(last)
        exec(compile(ast.Module(statements, []), "<docs>", "exec"), scope)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "<docs>", "eval"), scope)
    return out.getvalue() + ("" if value is None else repr(value))


def run_line(line):
    """Runs a command, or what is quick and tells most of its mistakes."""
    program, *arguments = shlex.split(line, comments=True)
    if program == "./scripts/test":
        return ""
    assert program in ("fdl", "./scripts/fdl")
    arguments = quick(parse(arguments), arguments)
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert not arguments or cli.main(arguments) == 0, arguments
    return out.getvalue()


def quick(options, arguments):
    """The command, or another that is quick and finds most of its mistakes, or none."""
    if options.command in ("list", "models", "new", "runs", "show"):
        return arguments
    if options.command in ("eval", "export", "predict", "replay"):
        names = [options.workdir, *getattr(options, "inputs", [])]
        return arguments if all(pathlib.Path(name).exists() for name in names) else []
    if not hasattr(options, "takes_config"):
        return []
    if (
        options.experiment.partition(":")[0].endswith("shakespeare_gpt")
        and not (
            pathlib.Path(os.environ.get("FDL_MANUAL_DIR", "missing"))
            / "tiny_shakespeare"
        ).is_dir()
    ):
        return []  # Its text would be downloaded.
    if options.command == "train" and options.experiment.endswith(":smoke"):
        return arguments
    overrides = [f"--config.{override}" for override in options.overrides]
    return ["show", options.experiment, *overrides]


def parse(arguments):
    """Options of a command."""
    name = arguments[0]
    if "--help" in arguments:
        return argparse.Namespace(command="help")
    command = cli._module(name)
    try:
        return cli._parse(arguments, name, command)
    except SystemExit as error:
        raise AssertionError(f"{arguments}: {error}") from None


def same(got, expected):
    """Compares words as they are, and numbers to the digits that are expected."""
    got, expected = (
        re.sub(r" (?=[])}])", "", " ".join(text.split())) for text in (got, expected)
    )
    if NUMBER.sub("#", got) != NUMBER.sub("#", expected):
        return False
    pairs = zip(NUMBER.findall(got), NUMBER.findall(expected), strict=True)
    return all(near(*map(decimal.Decimal, pair)) for pair in pairs)


def near(number, expected):
    """True if a number is the expected one, up to one in its last decimal."""
    exponent = expected.as_tuple().exponent
    return abs(number - expected) <= (10**exponent if exponent < 0 else 0)
