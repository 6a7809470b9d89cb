"""Low-rank adaptation (LoRA): small trainable adapters beside frozen kernels."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from fdl.errors import UserError, check_type
from fdl.models.layers.dense import dot_general
from fdl.models.pretrained.convert import unflatten
from fdl.trees import check_patterns, matches, named_leaves
from fdl.types import Array, Key, Model, PyTree, Variables

BASE, SCALE = "base", "lora"  # Collections of the variables.
A, B = "lora_a", "lora_b"  # Parameters, beside the kernel of a dense layer.


def lora(
    model: Model,
    rank: int = 8,
    alpha: float | None = None,
    match: str | Iterable[str] = "*/attention/*",
    *,
    whole: str | Iterable[str] = (),
    dropout: float = 0.0,
    param_dtype: DTypeLike = "float32",
) -> Model:
    """Low-rank adaptation of a model: x W + alpha / rank · (x A) B in place of x W.

    Only the adapters A and B learn, rank · (D + F) numbers for a kernel of D · F. B is
    zero at first, so that the model is the base to the last bit; A is uniform in
    ±1 / √D, as in the authors' program. The variables are

    * ``params``: ``lora_a``, float [D, rank], and ``lora_b``, float [rank, F], at the
      path of each dense layer that is adapted, and what ``whole`` names. Layers that
      are scanned have them stacked, as their kernels are.
    * ``base``: all other parameters of the base, as they are. No gradient of them is
      computed, and no optimizer has a state of them.
    * ``lora``: ``scale``, alpha / rank, float32 [].

    and the other collections of the base. The product with A and B is computed in the
    dtype of the layer: a base in bfloat16 has adapters in float32, of which bfloat16
    copies are multiplied.

    Args:
      model: Model of a flax module, whose `flax.linen.Dense` and
        `flax.linen.DenseGeneral` can be adapted.
      rank: Rank of A B.
      alpha: Numerator of the scale; ``rank`` if None.
      match: Patterns of the paths of kernels to adapt, as of `optim.masks.matching`.
      whole: Patterns of parameters of the base that learn as they are, such as those of
        a new output layer, ``head``.
      dropout: Dropout rate of x before A, in training.
      param_dtype: Dtype of A and B.

    Returns:
      A model that takes one more option, ``adapted``: False for the outputs without
      the adapters, those of the base, as the reference of `objectives.preference`;
      what ``whole`` names is as it has become.

    Raises:
      UserError: The rank, alpha or the rate is not valid; or, in ``init``, a pattern
        matches nothing.

    Example:
      >>> from fdl import models
      >>> base = models.functional(models.GPT(2, 2, 8, vocab_size=16, max_length=8))
      >>> model = lora(base, rank=2, match="query")
      >>> variables = jax.eval_shape(model.init, jax.random.key(0))
      >>> sum(x.size for x in jax.tree.leaves(variables["params"]))
      64
      >>> [*jax.eval_shape(merge_lora, variables)]
      ['params']

    References:
      Hu et al., `LoRA: Low-Rank Adaptation of Large Language Models
      <https://arxiv.org/abs/2106.09685>`_, 2021.
    """
    check_type("model", model, Model, "fdl.models.functional(module)")
    if type(rank) is not int or rank < 1:
        raise UserError(f"rank={rank!r}: expected an integer from 1 on")
    alpha = rank if alpha is None else alpha
    if not 0 < alpha < math.inf:
        raise UserError(f"alpha={alpha!r}: expected a positive number")
    if not 0 <= dropout < 1:
        raise UserError(f"dropout={dropout!r}: expected a rate in [0, 1)")
    match, whole = _patterns(match), _patterns(whole)

    def init(key: Key) -> Variables:
        base_key, adapter_key = jax.random.split(key)
        kernels: dict[str, _Kernel] = {}
        with nn.intercept_methods(_recording(kernels)):
            variables = model.init(base_key)
        leaves = named_leaves(variables["params"])
        places = _places(leaves, kernels, match)
        check_patterns(whole, leaves, "whole")
        adapters: dict[str, Array] = {}
        for i, (path, kernel) in enumerate(places.items()):
            shape_a, shape_b = kernel.shapes(leaves[f"{path}kernel"].shape, rank)
            bound = 1 / math.sqrt(kernel.fan_in)
            adapters[path + A] = jax.random.uniform(
                jax.random.fold_in(adapter_key, i), shape_a, param_dtype, -bound, bound
            )
            adapters[path + B] = jnp.zeros(shape_b, param_dtype)
        adapters |= {
            path: leaf
            for path, leaf in leaves.items()
            if any(matches(path, pattern) for pattern in whole)
        }
        return with_adapters(variables, adapters, alpha / rank)

    def apply(
        variables: Variables,
        *inputs: Any,
        key: Key | None = None,
        train: bool = False,
        adapted: bool = True,
        **options: Any,
    ) -> tuple[Any, PyTree]:
        _check_adapted(variables)
        kept = {name: variables[name] for name in (BASE, SCALE)}
        others = {k: v for k, v in variables.items() if k not in kept}
        others["params"] = joined(variables[BASE], variables["params"])
        rate = dropout if train and key is not None else 0.0
        adapt = _adapting(variables[SCALE]["scale"], rate)
        with nn.intercept_methods(adapt if adapted else _unchanged):
            outputs, model_state = model.apply(
                others, *inputs, key=key, train=train, **options
            )
        return outputs, {**model_state, **kept}

    return Model(init, apply, model.module)


def merge_lora(variables: Variables) -> Variables:
    """Variables of the base with the adapters added to its kernels: W + scale · A B.

    The base then computes what the adapted model does, to rounding, at no further cost.
    The sum is computed in float32 at least, and rounded to the dtype of W once.

    Args:
      variables: Variables of a model of `lora`.

    Returns:
      Variables of the base, in their dtypes.

    Raises:
      UserError: They are the variables of no such model.
    """
    _check_adapted(variables)
    scale = variables[SCALE]["scale"]

    def merged(node: Any) -> Any:
        if not isinstance(node, Mapping):
            return node
        inner = {k: merged(v) for k, v in node.items() if k not in (A, B)}
        if A in node:
            inner["kernel"] = _sum(node["kernel"], node[A], node[B], scale)
        return inner

    others = {k: v for k, v in variables.items() if k not in (BASE, SCALE)}
    params = merged(joined(variables[BASE], variables["params"]))
    return {**others, "params": params}


def with_adapters(
    variables: Variables, adapters: Mapping[str, Any], scale: float
) -> Variables:
    """Variables of a model of `lora`.

    Args:
      variables: Variables of the base.
      adapters: Trainable parameters by path: A, B and parameters of the base.
      scale: Factor of A B.
    """
    others = {k: v for k, v in variables.items() if k != "params"}
    base = named_leaves(variables["params"])
    frozen = {path: leaf for path, leaf in base.items() if path not in adapters}
    return {
        **others,
        "params": unflatten(adapters),
        BASE: unflatten(frozen),
        SCALE: {"scale": jnp.asarray(scale, jnp.float32)},
    }


def joined(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Nested dicts with the leaves of both, which have none in common."""
    tree = dict(one)
    for name, node in other.items():
        tree[name] = joined(tree[name], node) if name in tree else node
    return tree


class _Kernel(NamedTuple):
    """Shape of the kernel of a dense layer: that of its inputs, and of its outputs."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @property
    def fan_in(self) -> int:
        return math.prod(self.inputs)

    def shapes(self, kernel: tuple[int, ...], rank: int) -> tuple[tuple, tuple]:
        """Shapes of A and B of a kernel, which has leading axes if it is stacked."""
        leading = kernel[: len(kernel) - len(self.inputs) - len(self.outputs)]
        return (*leading, *self.inputs, rank), (*leading, rank, *self.outputs)


def _check_adapted(variables: Variables) -> None:
    """Raises `UserError` for variables without a base or a scale."""
    for name in (BASE, SCALE):
        if name not in variables:
            found = ", ".join(variables)
            raise UserError(
                f"variables of {found}: expected {name!r} as well, as of models.lora"
            )


def _patterns(patterns: str | Iterable[str]) -> tuple[str, ...]:
    return (patterns,) if isinstance(patterns, str) else tuple(patterns)


def _places(
    leaves: Mapping[str, Any], kernels: Mapping[str, _Kernel], match: tuple[str, ...]
) -> dict[str, _Kernel]:
    """Kernels to adapt by the paths of their layers, which end in a slash."""
    # The path of a module begins where that of the flax module does, which may lie
    # deeper in the parameters.
    known = {
        path.removesuffix("kernel"): kernel
        for path in leaves
        for place, kernel in kernels.items()
        if f"/{path}".endswith(f"/{place}kernel")
    }
    if not known:
        raise UserError(
            "model: expected dense layers of flax (nn.Dense or nn.DenseGeneral) to "
            "adapt, found none"
        )
    check_patterns(match, [f"{path}kernel" for path in known], "match")
    return {
        path: kernel
        for path, kernel in known.items()
        if any(matches(f"{path}kernel", pattern) for pattern in match)
    }


def _recording(kernels: dict[str, _Kernel]):
    """Interceptor of flax that records the kernels of dense layers."""

    def intercept(call, args, options, context):
        outputs = call(*args, **options)
        module = context.module
        num_inputs = _num_inputs(module, context.method_name)
        if num_inputs:
            shape = module.get_variable("params", "kernel").shape
            place = "".join(f"{name}/" for name in module.path)
            kernels[place] = _Kernel(shape[:num_inputs], shape[num_inputs:])
        return outputs

    return intercept


def _num_inputs(module: nn.Module, method: str) -> int:
    """Number of input axes of the kernel of a dense layer; 0 of other modules."""
    if method != "__call__":
        return 0
    if isinstance(module, nn.Dense):
        return 1
    if isinstance(module, nn.DenseGeneral) and not module.batch_dims:
        return 1 if isinstance(module.axis, int) else len(module.axis)
    return 0


def _adapting(scale: Array, rate: float):
    """Interceptor of flax that adds the product of the adapters to dense layers."""

    def intercept(call, args, options, context):
        outputs = call(*args, **options)
        module = context.module
        num_inputs = _num_inputs(module, context.method_name)
        if not num_inputs or not module.has_variable("params", A):
            return outputs
        x = args[0] if args else options["inputs"]
        if rate:
            kept = jax.random.bernoulli(module.make_rng("dropout"), 1 - rate, x.shape)
            x = jnp.where(kept, x / (1 - rate), 0)
        axes = getattr(module, "axis", -1)
        axes = (axes,) if isinstance(axes, int) else axes
        x = jnp.moveaxis(x, axes, range(-num_inputs, 0)).astype(outputs.dtype)
        a, b = (module.get_variable("params", name) for name in (A, B))
        a = a.reshape(-1, a.shape[-1]).astype(outputs.dtype)
        b = b.reshape(b.shape[0], -1).astype(outputs.dtype)
        low = _product(x.reshape(*x.shape[: x.ndim - num_inputs], -1), a)
        change = _product(low, b) * scale.astype(outputs.dtype)
        return outputs + change.reshape(outputs.shape)

    return intercept


def _unchanged(call, args, options, context):
    """Interceptor of flax that changes nothing."""
    del context
    return call(*args, **options)


def _product(x: Array, matrix: Array) -> Array:
    return dot_general(x, matrix, (((x.ndim - 1,), (0,)), ((), ())))


def _sum(kernel: Array, a: Array, b: Array, scale: Array) -> Array:
    """Kernel [..., D, F] plus scale · A B; of any shape of inputs and outputs."""
    wide = jnp.promote_types(kernel.dtype, jnp.float32)
    # Stacked kernels have equal leading axes; B has the rank behind them.
    leading = _num_leading(kernel, a, b)
    stack = kernel.shape[:leading]
    change = jnp.matmul(
        a.astype(wide).reshape(*stack, -1, a.shape[-1]),
        b.astype(wide).reshape(*stack, a.shape[-1], -1),
        precision="highest",
    )
    change = scale.astype(wide) * change.reshape(kernel.shape)
    return (kernel.astype(wide) + change).astype(kernel.dtype)


def _num_leading(kernel: Array, a: Array, b: Array) -> int:
    """Number of axes along which a kernel is stacked: those that A and B share."""
    return a.ndim + b.ndim - 2 - kernel.ndim
