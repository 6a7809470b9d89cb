"""What passes through each layer of a network: forwards, and backwards."""

import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from fdl.trees import path_name
from fdl.types import INTERMEDIATES, Array, Batch, Objective, Variables

SEEN = "root_mean_square"  # What an output is noted as, among the intermediates.


class LayerNorms(NamedTuple):
    """How large is what passes through a layer.

    Attributes:
      gradient: Norm of the gradient of the layer's own parameters, float32 [].
      activation: Root mean square of its outputs, over examples and units, float32 [];
        NaN where they cannot be seen.
    """

    gradient: Array
    activation: Array


def layer_norms(
    objective: Objective, variables: Variables, batch: Batch
) -> "OrderedDict[str, LayerNorms]":
    """The size of gradients and of outputs of each layer, on one batch.

    ‖∂L/∂θₗ‖ and √(mean aₗ²), where a layer is a module that has parameters of its own:
    its outputs are those before the activation function that follows. Layers come in
    the order in which they are called. One that is scanned (`models.Stack`) counts as
    often as it runs, as ``layers/dense[3]``. As in evaluation, nothing is dropped out.

    Gradients are scaled before they are squared, so that 1e-30 is not zero.

    Args:
      objective: Of a model of `models.functional`; others hide their outputs.
      variables: Where to look.
      batch: On what.

    Example:
      >>> import fdl
      >>> model = fdl.models.functional(fdl.models.MLP((8,), 3, input_shape=(4,)))
      >>> objective = fdl.objectives.classification(model)
      >>> batch = {"image": jnp.ones((2, 4)), "label": jnp.array([0, 2])}
      >>> found = layer_norms(objective, model.init(jax.random.key(0)), batch)
      >>> list(found), found["head"].gradient > found["dense_0"].gradient
      (['dense_0', 'head'], Array(True, dtype=bool))

    References:
      Glorot and Bengio, `Understanding the difficulty of training deep feedforward
      neural networks <https://proceedings.mlr.press/v9/glorot10a.html>`_, 2010.
    """
    rest = {name: part for name, part in variables.items() if name != "params"}
    calls: dict[str, dict[str, int]] = {}

    def loss(params):
        with nn.intercept_methods(_noting(calls)):
            value, (state, _) = objective(
                {**rest, "params": params, INTERMEDIATES: {}}, batch
            )
        seen = state.get(INTERMEDIATES, {}) if isinstance(state, Mapping) else {}
        return value, seen

    grads, seen = jax.grad(loss, has_aux=True)(variables["params"])
    owned = _owned(grads)
    outputs = {path: _joined(leaf) for path, leaf in _noted(seen)}
    found = {}
    order = [path for path in calls if path in owned]
    for path in [*order, *(path for path in owned if path not in calls)]:
        ranks = calls.get(path, {})
        extra = min((x.ndim - ranks.get(k, x.ndim) for k, x in owned[path].items()))
        found[path] = owned[path], outputs.get(path), extra
    return OrderedDict(_each_layer(found))


def called_modules(function: Callable[..., Any], *args: Any) -> list[str]:
    """Paths of all modules with parameters of their own, in the order of their calls.

    Args:
      function: What calls them; it is traced, and never run.
      *args: Its arguments, or their shapes and dtypes.
    """
    calls: dict[str, dict[str, int]] = {}
    with nn.intercept_methods(_noting(calls)):
        jax.eval_shape(function, *args)
    return list(calls)


def _noting(calls: dict[str, dict[str, int]]) -> Callable:
    """An interceptor that notes the ranks of a module's own parameters, and outputs."""

    def note(call, args, kwargs, context):
        module = context.module
        if context.method_name != "__call__" or module.scope is None:
            return call(*args, **kwargs)
        params = module.variables.get("params", {})
        own = {k: jnp.ndim(v) for k, v in params.items() if not isinstance(v, Mapping)}
        if own:
            calls.setdefault("/".join(module.path), own)
        outputs = call(*args, **kwargs)
        if own:
            module.sow(INTERMEDIATES, SEEN, _root_mean_square(outputs))
        return outputs

    return note


def _owned(grads: Any) -> dict[str, dict[str, Array]]:
    """Leaves by the path of the module that owns them, and by name."""
    found: dict[str, dict[str, Array]] = {}
    for path, leaf in jax.tree.leaves_with_path(grads):
        module = path_name(path[:-1])
        name = jax.tree_util.keystr(path[-1:], simple=True)
        found.setdefault(module, {})[name] = leaf
    return found


def _noted(seen: Any) -> Iterator[tuple[str, tuple[Array, ...]]]:
    """What `_noting` has noted, by the path of the module."""
    leaves = jax.tree.leaves_with_path(seen, is_leaf=lambda x: isinstance(x, tuple))
    for path, values in leaves:
        if jax.tree_util.keystr(path[-1:], simple=True) == SEEN:
            yield path_name(path[:-1]), values


def _joined(values: tuple[Array, ...]) -> Array:
    """Of a module that was called several times, float [..., calls]."""
    return jnp.stack(values, axis=-1)


def _each_layer(found: Mapping[str, tuple]) -> Iterator[tuple[str, LayerNorms]]:
    """Takes scanned layers apart, so that all of one depth stand together."""

    def stack(path):
        owned, _, extra = found[path]
        shape = next(iter(owned.values())).shape[:extra]
        return shape, path.partition("/")[0] if extra else path

    for (shape, _), paths in itertools.groupby(found, stack):
        together = [*paths]
        for index in np.ndindex(*shape):
            place = f"[{','.join(map(str, index))}]" if shape else ""
            for path in together:
                owned, seen, _ = found[path]
                gradient = _norm([leaf[index] for leaf in owned.values()])
                activation = jnp.full((), jnp.nan)
                if seen is not None and seen.shape[: len(shape)] == shape:
                    activation = _root_mean_square(seen[index])
                yield f"{path or 'model'}{place}", LayerNorms(gradient, activation)


def _norm(leaves: list[Array]) -> Array:
    return _root(jnp.concatenate([_flat(leaf) for leaf in leaves]), jnp.sum)


def _root_mean_square(outputs: Any) -> Array:
    numbers = [
        _flat(leaf)
        for leaf in jax.tree.leaves(outputs)
        if jnp.issubdtype(jnp.result_type(leaf), jnp.floating)
    ]
    if not sum(x.size for x in numbers):
        return jnp.full((), jnp.nan)
    return _root(jnp.concatenate(numbers), jnp.mean)


def _flat(x: Array) -> Array:
    return jnp.ravel(x).astype(jnp.float32)


def _root(x: Array, average: Callable[[Array], Array]) -> Array:
    """The root of the sum or mean of squares, which themselves may be out of range."""
    peak = jnp.abs(x).max(initial=0)
    scale = jnp.where((peak > 0) & jnp.isfinite(peak), peak, 1)
    return scale * jnp.sqrt(average(jnp.square(x / scale)))
