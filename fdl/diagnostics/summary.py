"""Model summary: output shapes, parameters and FLOPs of each layer."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax

from fdl.diagnostics.flops import flops_by_scope
from fdl.models import functional

Path = tuple[str, ...]


class Layer(NamedTuple):
    """Layer of a model summary, with its submodules.

    Attributes:
      name: Name of the submodule, as in the tree of parameters.
      kind: Name of its class.
      output: Shapes of its outputs, as text.
      parameters: Number of parameters, those of submodules included.
      flops: FLOPs of matrix products and convolutions, over all its calls.
      submodules: Submodules in the order of their first call, without those that have
        neither parameters nor FLOPs, such as dropout.
    """

    name: str
    kind: str
    output: str
    parameters: int
    flops: int
    submodules: tuple["Layer", ...]


def summarize(module: nn.Module) -> Layer:
    """Summary of all layers of a module, in a forward pass of its published input.

    The forward pass is traced only, not computed. The FLOPs of a scanned layer count
    once for each iteration; the parameters of a shared layer count once.

    Args:
      module: Module of the zoo, with a method ``example``.
    """
    model, inputs = functional(module), module.example()
    variables = jax.eval_shape(model.init, jax.random.key(0))
    kinds: dict[Path, str] = {}
    outputs: dict[Path, str] = {}

    def record(call, arguments, options, context):
        path, name = context.module.path, context.method_name
        kinds.setdefault(path, type(context.module).__name__)
        # A scope with the full path of the module, in a form that no scope of flax or
        # of the model itself has.
        with jax.named_scope(f"fdl[{'/'.join(path)}]"):
            result = call(*arguments, **options)
        # The output is that of __call__; of another method only if there is none.
        if name == "__call__" or (name != "setup" and path not in outputs):
            outputs[path] = format_shapes(result)
        return result

    def apply(variables, *inputs):
        with nn.intercept_methods(record):
            return model.apply(variables, *inputs)[0]

    flops: Counter[Path] = Counter()
    for scope, count in flops_by_scope(apply, variables, *inputs).items():
        # FLOPs are attributed to the innermost module, and summed up over submodules.
        innermost = "/".join(re.findall(r"fdl\[([^]]*)\]", scope)[-1:])
        flops[tuple(filter(None, innermost.split("/")))] += count
    sizes = {
        tuple(key.key for key in path): leaf.size
        for path, leaf in jax.tree.leaves_with_path(variables.get("params", {}))
    }
    return _layer((type(module).__name__,), kinds, outputs, sizes, flops)


def format_shapes(arrays: Any) -> str:
    """Shapes of the arrays of a pytree, as text; of more than three, the first three.

    Example:
      >>> format_shapes(({"a": jax.numpy.zeros((2, 3))}, jax.numpy.zeros(())))
      '2 x 3, scalar'
    """
    shapes = [leaf.shape for leaf in jax.tree.leaves(arrays) if hasattr(leaf, "shape")]
    texts = [" x ".join(map(str, shape)) or "scalar" for shape in shapes]
    return ", ".join(texts[:3] + ["..."] * (len(texts) > 3))


def _layer(
    full_path: Path,
    kinds: Mapping[Path, str],
    outputs: Mapping[Path, str],
    sizes: Mapping[Path, int],
    flops: Mapping[Path, int],
) -> Layer:
    """Layer of a full path: the name of the class of the root, then names of modules.

    The other arguments are mappings by paths without the root.
    """
    path = full_path[1:]

    def total(counts):
        return sum(n for key, n in counts.items() if key[: len(path)] == path)

    submodules = [
        _layer((*full_path, inner[-1]), kinds, outputs, sizes, flops)
        for inner in kinds
        if inner and inner[:-1] == path
    ]
    return Layer(
        full_path[-1],
        kinds[path],
        outputs.get(path, ""),
        total(sizes),
        total(flops),
        tuple(layer for layer in submodules if layer.parameters or layer.flops),
    )
