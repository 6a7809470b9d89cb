"""Catalogue of the model zoo: families, parameter counts and papers."""

import inspect
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax

from fdl import models
from fdl.models.functional import functional


class Paper(NamedTuple):
    """Publication of a model."""

    authors: str
    title: str
    link: str
    year: str

    def __str__(self) -> str:
        """Authors, year and link."""
        return f"{self.authors}, {self.year}  {self.link}"


def zoo() -> dict[str, Callable[[], Any]]:
    """Sizes of the zoo: public functions of `fdl.models` that need no arguments."""
    sizes = {}
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
        kind = signature.return_annotation
        if isinstance(kind, type) and issubclass(kind, nn.Module) and not needed:
            sizes[name] = function

    def order(name):  # Sizes stand in their file from small to large.
        return family(sizes[name]), sizes[name].__code__.co_firstlineno

    return {name: sizes[name] for name in sorted(sizes, key=order)}


def family(function: Callable[[], Any]) -> str:
    """Family of a model: the name of its file."""
    return function.__module__.rpartition(".")[2]


def parameters(function: Callable[[], Any]) -> int:
    """Number of parameters of a size, as its docstring states it.

    Tracing all of the zoo takes long; the docstrings are exact, and tested.
    """
    summary, _, _ = (inspect.getdoc(function) or "").partition("\n\n")
    stated = re.search(r";\s+([\d,]+)\s", summary)
    if stated:
        return int(stated[1].replace(",", ""))
    return count_parameters(function())


def count_parameters(module: Any) -> int:
    """Number of parameters of a module, by tracing its `init`."""
    shapes = jax.eval_shape(functional(module).init, jax.random.key(0))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes.get("params", {})))


def paper_of(function: Callable[[], Any]) -> Paper | None:
    """First reference in the docstring of a size, or else in that of its module."""
    module_type = inspect.signature(function, eval_str=True).return_annotation
    for owner in (function, module_type):
        _, _, references = (inspect.getdoc(owner) or "").partition("References:\n")
        match = re.match(
            r"\s*([^`]+),\s+`([^<]+)\s<([^>]+)>`_,\s+.*?(\d{4})", references, re.DOTALL
        )
        if match:
            return Paper(*(" ".join(text.split()) for text in match.groups()))
    return None
