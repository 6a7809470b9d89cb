"""`fdl models`: what the zoo has, and what a model is made of."""

import argparse
import difflib
import fnmatch
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple


class Paper(NamedTuple):
    """Where a model was published."""

    authors: str
    title: str
    link: str
    year: str

    def __str__(self) -> str:
        """Authors, year and link."""
        return f"{self.authors}, {self.year}  {self.link}"


def main(options: argparse.Namespace) -> int:
    """Lists the models of the zoo, or says what one of them is."""
    from fdl.errors import UserError, near

    models, pattern, depth = zoo(), options.pattern, options.depth
    if depth is not None and (depth < 0 or pattern not in models):
        raise UserError(f"--depth={depth}: expected a number, and the name of a model")
    if pattern in models:
        describe(pattern, models[pattern], depth)
        return 0
    found = [name for name in models if fits(name, models[name], pattern)]
    if not found:
        close = difflib.get_close_matches(pattern, models, n=1, cutoff=0.5)
        hint = near(pattern, models) if close else "fdl models lists them all"
        raise UserError(f"there is no model {pattern!r}. {hint}")
    width = max(map(len, [*found, "model"]))
    families = max(len(family(models[name])) for name in found)
    print(f"{'model':{width}}  {'family':{families}}  {'parameters':>13}  paper")
    for name in found:
        function = models[name]
        count, paper = f"{parameters(function):,}", paper_of(function) or ""
        print(f"{name:{width}}  {family(function):{families}}  {count:>13}  {paper}")
    return 0


def zoo() -> dict[str, Callable[[], Any]]:
    """Every public function of `fdl.models` that makes a module of nothing, by name."""
    import flax.linen as nn

    from fdl import models

    found = {}
    for name in models.__all__:
        function = getattr(models, name)
        if not inspect.isfunction(function):
            continue
        signature = inspect.signature(function, eval_str=True)
        needed = [
            parameter
            for parameter in signature.parameters.values()
            if parameter.default is parameter.empty
            and parameter.kind is not parameter.VAR_KEYWORD
        ]
        made = signature.return_annotation
        if isinstance(made, type) and issubclass(made, nn.Module) and not needed:
            found[name] = function

    def place(name):  # Sizes stand in their file from small to large.
        return family(found[name]), found[name].__code__.co_firstlineno

    return {name: found[name] for name in sorted(found, key=place)}


def fits(name: str, function: Callable[[], Any], pattern: str | None) -> bool:
    """Whether a name or family is asked for: by a part of it, or by a glob."""
    if pattern is None:
        return True
    glob = pattern if {*"*?["} & {*pattern} else f"*{pattern}*"
    return any(fnmatch.fnmatchcase(text, glob) for text in (name, family(function)))


def family(function: Callable[[], Any]) -> str:
    """The file of a model."""
    return function.__module__.rpartition(".")[2]


def parameters(function: Callable[[], Any]) -> int:
    """How many numbers a model learns.

    Tracing all of the zoo takes long: what a docstring says is exact, and tested.
    """
    summary, _, _ = (inspect.getdoc(function) or "").partition("\n\n")
    stated = re.search(r";\s+([\d,]+)\s", summary)
    if stated:
        return int(stated[1].replace(",", ""))
    return count(function())


def count(module: Any) -> int:
    """How many numbers a module learns, by its shapes."""
    import jax

    from fdl.models import pure

    shapes = jax.eval_shape(pure(module).init, jax.random.key(0))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes.get("params", {})))


def paper_of(function: Callable[[], Any]) -> Paper | None:
    """The first reference of a model, or else that of its module."""
    made = inspect.signature(function, eval_str=True).return_annotation
    for owner in (function, made):
        _, _, references = (inspect.getdoc(owner) or "").partition("References:\n")
        found = re.match(
            r"\s*([^`]+),\s+`([^<]+)\s<([^>]+)>`_,\s+.*?(\d{4})", references, re.DOTALL
        )
        if found:
            return Paper(*(" ".join(text.split()) for text in found.groups()))
    return None


def describe(name: str, function: Callable[[], Any], depth: int | None) -> None:
    """Prints the layers of a model, and how to use it."""
    from fdl.cli.layer_table import depth_of, rows, table
    from fdl.cli.layers import layers
    from fdl.cli.output import terminal

    module, paper = function(), paper_of(function)
    layer = layers(module)
    console = terminal()
    if not console.is_terminal:  # Whatever reads it: no line is cut.
        console.width = 500
    summary = (inspect.getdoc(function) or name).partition("\n\n")[0]
    console.print(f"{name}: {' '.join(summary.split())}")
    if paper:
        console.print(f"{paper.authors}, {paper.title}, {paper.year}")
        console.print(paper.link)
    depth = depth_of(layer, most=40) if depth is None else depth
    console.print(table(rows(layer, depth)))
    note = "FLOPs are those of matrix products and convolutions, 2 per MAC.\n"
    console.print(note)
    console.print("\n".join(example(name, module)))


def example(name: str, module: Any) -> Iterator[str]:
    """A program that runs the model."""
    inputs = ", ".join(zeros(x) for x in module.example())
    yield "import jax"
    yield "import jax.numpy as jnp"
    yield "from fdl import models"
    yield ""
    yield f"module = models.{name}()"
    yield "model = models.pure(module)"
    yield "variables = jax.jit(model.init)(jax.random.key(0))"
    known = [*getattr(module, "checkpoints", dict)()]
    if known:
        yield f"# Or as they were published, in the format of {' or '.join(known)}:"
        yield f'# variables, report = models.load("{name}.safetensors", into=module)'
    yield f"outputs, _ = jax.jit(model.apply)(variables, {inputs})"


def zeros(array: Any) -> str:
    """How an array of this shape and dtype is made."""
    dtype = "" if array.dtype == "float32" else f', "{array.dtype}"'
    return f"jnp.zeros({tuple(array.shape)}{dtype})"
