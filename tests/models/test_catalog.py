"""The catalogue: complete, in order, and what docstrings and documentation state."""

import inspect
import itertools
import pathlib

import flax.linen as nn
import pytest

import fdl
from fdl import models
from fdl.errors import UserError
from fdl.models.catalog import PUBLISHED_NAMES, ZOO, papers

PAGE = pathlib.Path(__file__).parents[2] / "docs/models.md"
every_entry = pytest.mark.parametrize("entry", ZOO.values(), ids=lambda x: x.name)


def test_it_has_every_public_function_that_makes_a_module_without_arguments():
    sizes = {name: getattr(models, name) for name in models.__all__}
    sizes = {name: size for name, size in sizes.items() if makes_a_module(size)}
    assert {name: entry.constructor for name, entry in ZOO.items()} == sizes


def makes_a_module(function):
    if not inspect.isfunction(function):
        return False
    signature = inspect.signature(function, eval_str=True)
    needed = [x for x in signature.parameters.values() if x.default is x.empty]
    kind = signature.return_annotation
    return (
        isinstance(kind, type)
        and issubclass(kind, nn.Module)
        and all(x.kind is x.VAR_KEYWORD for x in needed)
    )


def test_it_goes_by_family_and_from_small_to_large():
    entries = [*ZOO.values()]
    assert entries == sorted(entries, key=lambda x: (x.family, x.parameters))


@every_entry
def test_docstrings_state_the_parameters_and_cite_the_paper(entry):
    module = type(entry.constructor())
    summary, _, rest = inspect.getdoc(entry.constructor).partition("\n\n")
    assert f"{entry.parameters:,}" in summary
    authors, year, title, link = entry.paper
    citation = f"{authors}, `{title} <{link}>`_, {year}"
    assert citation in " ".join(f"{rest} {inspect.getdoc(module)}".split())


def test_every_paper_is_that_of_a_model():
    known = {x for x in vars(papers).values() if isinstance(x, papers.Paper)}
    assert known == {entry.paper for entry in ZOO.values()}


def test_modules_tell_their_inputs_and_the_formats_of_their_weights():
    assert [x.shape for x in ZOO["alexnet"].example()] == [(1, 227, 227, 3)]
    assert ZOO["alexnet"].formats() == ()
    assert ZOO["convnext_t"].formats() == ("torchvision", "timm")


def test_published_names_are_no_names_of_ours():
    assert not {*PUBLISHED_NAMES} & {*models.__all__}
    assert len(PUBLISHED_NAMES) == sum(len(x.published_names) for x in ZOO.values())


@pytest.mark.parametrize("theirs, ours", PUBLISHED_NAMES.items())
def test_errors_name_ours(theirs, ours):
    with pytest.raises(AttributeError, match=f"it is called '{ours}' here"):
        getattr(models, theirs)
    with pytest.raises(UserError, match=f"it is called '{ours}' here"):
        fdl.make(models, {"name": theirs})


def test_other_names_are_unknown():
    with pytest.raises(AttributeError, match=r"no attribute 'resnet19'$"):
        models.resnet19  # noqa: B018


def test_the_documentation_has_a_row_for_each_family():
    entries = sorted(ZOO.values(), key=path)
    expected = [row(*group) for group in itertools.groupby(entries, path)]
    lines = PAGE.read_text().splitlines()
    start = lines.index("| family | models, and their parameters | weights | papers |")
    assert lines[start + 2 : start + 2 + len(expected)] == expected
    assert lines[start + 2 + len(expected)] == ""


def path(entry):
    """Folder and family."""
    module = entry.constructor.__module__
    return module.removeprefix("fdl.models.").replace(".", "/")


def row(family, entries):
    """A row of the table, to be copied into the page."""
    entries = [*entries]
    names = ", ".join(f"`{x.name}` ({x.parameters:,})" for x in entries)
    formats = ", ".join(dict.fromkeys(f for x in entries for f in x.formats()))
    papers = "<br>".join(dict.fromkeys(cited(x.paper) for x in entries))
    return f"| {family} | {names} | {formats} | {papers} |"


def cited(paper):
    return f"[{paper.authors}, {paper.year}]({paper.link})"
