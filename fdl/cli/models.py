"""`fdl models`: list the models of the zoo, or print the layers of one."""

import argparse
import difflib
import fnmatch
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import flax.linen as nn
import jax

from fdl.cli.console import console
from fdl.diagnostics.summary import summarize
from fdl.diagnostics.summary_table import max_depth, rows, table
from fdl.errors import UserError, near
from fdl.models.catalog import family, paper_of, parameters, zoo
from fdl.models.published_names import PUBLISHED_NAMES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument(
        "pattern", nargs="?", help="a part of names or families, a glob, or one name"
    )
    parser.add_argument(
        "--depth", type=int, metavar="N", help="how deep the table of one model goes"
    )


def main(options: argparse.Namespace) -> int:
    """Lists the models of the zoo, or prints the layers of one of them."""
    models, depth = zoo(), options.depth
    pattern = PUBLISHED_NAMES.get(options.pattern, options.pattern)
    if depth is not None and (depth < 0 or pattern not in models):
        raise UserError(f"--depth={depth}: expected a number, and the name of a model")
    if pattern in models:
        describe(pattern, models[pattern], depth)
        return 0
    names = [name for name in models if fits(name, models[name], pattern)]
    if not names:
        # Without a close name, `near` would list the whole zoo.
        close = difflib.get_close_matches(pattern, models, n=1, cutoff=0.5)
        hint = near(pattern, models) if close else "fdl models lists them all"
        raise UserError(f"there is no model {pattern!r}. {hint}")
    width = max(map(len, [*names, "model"]))
    family_width = max(len(family(models[name])) for name in names)
    print(f"{'model':{width}}  {'family':{family_width}}  {'parameters':>13}  paper")
    for name in names:
        size = models[name]
        count, paper = f"{parameters(size):,}", paper_of(size) or ""
        print(f"{name:{width}}  {family(size):{family_width}}  {count:>13}  {paper}")
    return 0


def fits(name: str, function: Callable[[], Any], pattern: str | None) -> bool:
    """True if a pattern is a part of the name or the family, or a glob of it."""
    if pattern is None:
        return True
    glob = pattern if {*"*?["} & {*pattern} else f"*{pattern}*"
    return any(fnmatch.fnmatchcase(text, glob) for text in (name, family(function)))


def describe(name: str, function: Callable[[], Any], depth: int | None) -> None:
    """Prints the layers of a model, its paper and an example of its use."""
    module, paper = function(), paper_of(function)
    layer = summarize(module)
    out = console()
    if not out.is_terminal:
        out.width = 500  # Rich would fit the table into 80 columns for a pipe.
    summary = (inspect.getdoc(function) or name).partition("\n\n")[0]
    out.print(f"{name}: {' '.join(summary.split())}")
    if paper:
        out.print(f"{paper.authors}, {paper.title}, {paper.year}")
        out.print(paper.link)
    depth = max_depth(layer, max_rows=40) if depth is None else depth
    out.print(table(rows(layer, depth)))
    out.print("FLOPs are those of matrix products and convolutions, 2 per MAC.\n")
    out.print("\n".join(example(name, module)))


def example(name: str, module: nn.Module) -> Iterator[str]:
    """Lines of a program that runs the model."""
    inputs = ", ".join(zeros(x) for x in module.example())
    yield "import jax"
    yield "import jax.numpy as jnp"
    yield "from fdl import models"
    yield ""
    yield f"module = models.{name}()"
    yield "model = models.functional(module)"
    yield "variables = jax.jit(model.init)(jax.random.key(0))"
    formats = [*getattr(module, "checkpoints", dict)()]
    if formats:
        yield f"# Or as they were published, in the format of {' or '.join(formats)}:"
        yield f'# variables, report = models.load("{name}.safetensors", into=module)'
    yield f"outputs, _ = jax.jit(model.apply)(variables, {inputs})"


def zeros(array: jax.ShapeDtypeStruct) -> str:
    """Python expression for an array of zeros of a shape and dtype."""
    dtype = "" if array.dtype == "float32" else f', "{array.dtype}"'
    return f"jnp.zeros({tuple(array.shape)}{dtype})"
