"""The layers of a module: what comes out of each, and what it takes."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax

from fdl.flops import flops_by_scope
from fdl.models import pure

Path = tuple[str, ...]


class Layer(NamedTuple):
    """One submodule, with all that is inside it.

    Attributes:
      name: As its parameters are called.
      kind: Name of its class.
      output: Shape of what comes out of it.
      parameters: Numbers that are learned.
      flops: Operations of matrix products and convolutions, in all its calls.
      inside: Its submodules, in the order in which they are called, but for those that
        neither learn nor multiply, such as dropout.
    """

    name: str
    kind: str
    output: str
    parameters: int
    flops: int
    inside: tuple["Layer", ...]


def layers(module: nn.Module) -> Layer:
    """All layers of a module, as its published input goes forwards through it.

    Nothing is computed. A scanned layer counts as often as it runs; of one that is
    called from several places, the parameters count once.

    Args:
      module: One of the zoo.
    """
    model, inputs = pure(module), module.example()
    variables = jax.eval_shape(model.init, jax.random.key(0))
    kinds: dict[Path, str] = {}
    outputs: dict[Path, str] = {}

    def record(call, arguments, options, context):
        path, name = context.module.path, context.method_name
        kinds.setdefault(path, type(context.module).__name__)
        with jax.named_scope(f"fdl[{'/'.join(path)}]"):
            result = call(*arguments, **options)
        if name == "__call__" or (name != "setup" and path not in outputs):
            outputs[path] = shown(result)
        return result

    def apply(variables, *inputs):
        with nn.intercept_methods(record):
            return model.apply(variables, *inputs)[0]

    flops: Counter[Path] = Counter()
    for scope, count in flops_by_scope(apply, variables, *inputs).items():
        innermost = "/".join(re.findall(r"fdl\[([^]]*)\]", scope)[-1:])
        flops[tuple(filter(None, innermost.split("/")))] += count
    sizes = {
        tuple(key.key for key in path): leaf.size
        for path, leaf in jax.tree.leaves_with_path(variables.get("params", {}))
    }
    return _layer((type(module).__name__,), kinds, outputs, sizes, flops)


def shown(arrays: Any) -> str:
    """The shapes of some arrays.

    Example:
      >>> shown(({"a": jax.numpy.zeros((2, 3))}, jax.numpy.zeros(())))
      '2 x 3, scalar'
    """
    found = [leaf.shape for leaf in jax.tree.leaves(arrays) if hasattr(leaf, "shape")]
    texts = [" x ".join(map(str, shape)) or "scalar" for shape in found]
    return ", ".join(texts[:3] + ["..."] * (len(texts) > 3))


def _layer(
    place: Path,
    kinds: Mapping[Path, str],
    outputs: Mapping[Path, str],
    sizes: Mapping[Path, int],
    flops: Mapping[Path, int],
) -> Layer:
    """The layer at a place: the name of the module, and a path in it."""
    path = place[1:]

    def total(counts):
        return sum(n for key, n in counts.items() if key[: len(path)] == path)

    inside = [
        _layer((*place, inner[-1]), kinds, outputs, sizes, flops)
        for inner in kinds
        if inner and inner[:-1] == path
    ]
    return Layer(
        place[-1],
        kinds[path],
        outputs.get(path, ""),
        total(sizes),
        total(flops),
        tuple(layer for layer in inside if layer.parameters or layer.flops),
    )
