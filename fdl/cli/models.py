"""`fdl models`: list the models of the zoo, or print the layers of one."""

import argparse
import difflib
import fnmatch
import inspect
from collections.abc import Iterator

import jax

from fdl.cli.console import console, print_columns, print_table
from fdl.diagnostics.summary import summarize
from fdl.diagnostics.summary_table import max_depth, rows, table
from fdl.errors import UserError, near
from fdl.models import catalog
from fdl.models.catalog import Entry


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
    zoo, depth = catalog.ZOO, options.depth
    pattern = catalog.PUBLISHED_NAMES.get(options.pattern, options.pattern)
    if depth is not None and (depth < 0 or pattern not in zoo):
        raise UserError(f"--depth={depth}: expected a number, and the name of a model")
    if pattern in zoo:
        describe(zoo[pattern], depth)
        return 0
    entries = [entry for entry in zoo.values() if fits(entry, pattern)]
    if not entries:
        # Without a close name, `near` would list the whole zoo.
        close = difflib.get_close_matches(pattern, zoo, n=1, cutoff=0.5)
        hint = near(pattern, zoo) if close else "fdl models lists them all"
        raise UserError(f"there is no model {pattern!r}. {hint}")
    lines = [("model", "family", "parameters", "paper")]
    lines += [(x.name, x.family, f"{x.parameters:,}", str(x.paper)) for x in entries]
    width = max(len(count) for _, _, count, _ in lines)
    print_columns([(a, b, f"{count:>{width}}", c) for a, b, count, c in lines])
    return 0


def fits(entry: Entry, pattern: str | None) -> bool:
    """True if a pattern is a part of the name or the family, or a glob of it."""
    if pattern is None:
        return True
    glob = pattern if {*"*?["} & {*pattern} else f"*{pattern}*"
    return any(fnmatch.fnmatchcase(text, glob) for text in (entry.name, entry.family))


def describe(entry: Entry, depth: int | None) -> None:
    """Prints the layers of a model, its paper and an example of its use."""
    layer = summarize(entry.constructor())
    out = console()
    summary = (inspect.getdoc(entry.constructor) or "").partition("\n\n")[0]
    out.print(f"{entry.name}: {' '.join(summary.split())}")
    out.print(f"{entry.paper.authors}, {entry.paper.title}, {entry.paper.year}")
    out.print(entry.paper.link)
    depth = max_depth(layer, max_rows=40) if depth is None else depth
    print_table(out, table(rows(layer, depth)))
    out.print("FLOPs are those of matrix products and convolutions, 2 per MAC.\n")
    out.print("\n".join(example(entry)))


def example(entry: Entry) -> Iterator[str]:
    """Lines of a program that runs the model."""
    inputs = ", ".join(zeros(x) for x in entry.example())
    yield "import jax"
    yield "import jax.numpy as jnp"
    yield "from fdl import models"
    yield ""
    yield f"module = models.{entry.name}()"
    yield "model = models.functional(module)"
    yield "variables = jax.jit(model.init)(jax.random.key(0))"
    if formats := entry.formats():
        yield f"# Or as they were published, in the format of {' or '.join(formats)}:"
        file = f"{entry.name}.safetensors"
        yield f'# variables, report = models.load("{file}", into=module)'
    yield f"outputs, _ = jax.jit(model.apply)(variables, {inputs})"


def zeros(array: jax.ShapeDtypeStruct) -> str:
    """Python expression for an array of zeros of a shape and dtype."""
    dtype = "" if array.dtype == "float32" else f', "{array.dtype}"'
    return f"jnp.zeros({tuple(array.shape)}{dtype})"
