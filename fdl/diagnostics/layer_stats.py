"""Per-layer gradient norms and activation norms of a network."""

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

SEEN = "root_mean_square"  # Name of the activation norm among the intermediates.


class LayerStats(NamedTuple):
    """Gradient norm and activation norm of a layer.

    Attributes:
      gradient: Norm of the gradient of the layer's own parameters, float32 [].
      activation: Root mean square of its outputs, over examples and units, float32 [];
        NaN if the outputs are not accessible.
    """

    gradient: Array
    activation: Array


def layer_stats(
    objective: Objective, variables: Variables, batch: Batch
) -> "OrderedDict[str, LayerStats]":
    """Gradient norm and activation norm of each layer, on one batch.

    ‖∂L/∂θₗ‖ and √(mean aₗ²), where a layer is a module with parameters of its own, and
    its outputs are those before a following activation function. Layers are in the
    order of their calls. The iterations of a scanned layer (`models.Stack`) are
    separate layers, such as ``layers/dense[3]``. The network is in evaluation mode,
    without dropout.

    Args:
      objective: Objective of a model made by `models.functional`; for other models,
        activation norms are NaN.
      variables: Variables of the model.
      batch: Batch of examples.

    Returns:
      Norms of each layer by its path.

    Example:
      >>> import fdl
      >>> model = fdl.models.functional(fdl.models.MLP((8,), 3, input_shape=(4,)))
      >>> objective = fdl.objectives.classification(model)
      >>> batch = {"image": jnp.ones((2, 4)), "label": jnp.array([0, 2])}
      >>> variables = jax.jit(model.init)(jax.random.key(0))
      >>> measure = jax.jit(layer_stats, static_argnums=0)
      >>> norms = measure(objective, variables, batch)
      >>> list(norms), norms["head"].gradient > norms["dense_0"].gradient
      (['dense_0', 'head'], Array(True, dtype=bool))

    References:
      Glorot and Bengio, `Understanding the difficulty of training deep feedforward
      neural networks <https://proceedings.mlr.press/v9/glorot10a.html>`_, 2010.
    """
    model_state = {name: part for name, part in variables.items() if name != "params"}
    calls: dict[str, dict[str, int]] = {}

    def loss(params):
        with nn.intercept_methods(_recorder(calls)):
            value, (state, _) = objective(
                {**model_state, "params": params, INTERMEDIATES: {}}, batch
            )
        sown = state.get(INTERMEDIATES, {}) if isinstance(state, Mapping) else {}
        return value, sown

    grads, sown = jax.grad(loss, has_aux=True)(variables["params"])
    grads_of = _by_module(grads)
    outputs = {path: _stack_calls(leaf) for path, leaf in _recorded(sown)}
    layers = {}
    # Tracing has filled `calls` in the order of execution, whereas the tree of the
    # gradients is sorted by name. Modules that are never called come last.
    order = [path for path in calls if path in grads_of]
    for path in [*order, *(path for path in grads_of if path not in calls)]:
        # Inside of a scan a module has parameters without the axes of the iterations:
        # the difference of the ranks tells how many axes there are.
        ranks = calls.get(path, {})
        num_scans = min(
            (x.ndim - ranks.get(k, x.ndim) for k, x in grads_of[path].items())
        )
        layers[path] = grads_of[path], outputs.get(path), num_scans
    return OrderedDict(_unstack(layers))


def called_modules(function: Callable[..., Any], *args: Any) -> list[str]:
    """Paths of all modules with parameters of their own, in the order of their calls.

    Args:
      function: Function that calls the modules; it is traced, and never run.
      *args: Arguments of the function, or their shapes and dtypes.
    """
    calls: dict[str, dict[str, int]] = {}
    with nn.intercept_methods(_recorder(calls)):
        jax.eval_shape(function, *args)
    return list(calls)


def _recorder(calls: dict[str, dict[str, int]]) -> Callable:
    """Interceptor of Flax methods that records the layers of a network.

    Args:
      calls: Filled with the ranks of the own parameters of each module, by its path and
        their names. Activation norms are sown into the intermediates.
    """

    def record(call, args, kwargs, context):
        module = context.module
        if context.method_name != "__call__" or module.scope is None:
            return call(*args, **kwargs)
        params = module.variables.get("params", {})
        # Mappings are the parameters of submodules.
        own = {k: jnp.ndim(v) for k, v in params.items() if not isinstance(v, Mapping)}
        if own:
            calls.setdefault("/".join(module.path), own)
        outputs = call(*args, **kwargs)
        if own:
            # Sown rather than kept in a Python list: inside of a scan the value is a
            # tracer, which Flax returns with an axis for the iterations.
            module.sow(INTERMEDIATES, SEEN, _root_mean_square(outputs))
        return outputs

    return record


def _by_module(grads: Any) -> dict[str, dict[str, Array]]:
    """Gradients by the path of the module that has the parameter, and by name."""
    grads_of: dict[str, dict[str, Array]] = {}
    for path, leaf in jax.tree.leaves_with_path(grads):
        module = path_name(path[:-1])
        name = jax.tree_util.keystr(path[-1:], simple=True)
        grads_of.setdefault(module, {})[name] = leaf
    return grads_of


def _recorded(sown: Any) -> Iterator[tuple[str, tuple[Array, ...]]]:
    """Activation norms that `_recorder` has sown, by the path of the module."""
    # A tuple has one value for each call of a module in a forward pass.
    leaves = jax.tree.leaves_with_path(sown, is_leaf=lambda x: isinstance(x, tuple))
    for path, values in leaves:
        if jax.tree_util.keystr(path[-1:], simple=True) == SEEN:
            yield path_name(path[:-1]), values


def _stack_calls(values: tuple[Array, ...]) -> Array:
    """Activation norms of all calls of a module, float [..., calls]."""
    return jnp.stack(values, axis=-1)


def _unstack(layers: Mapping[str, tuple]) -> Iterator[tuple[str, LayerStats]]:
    """Norms of each layer, with the iterations of scanned layers apart.

    All layers of the first iteration come before those of the second, as they run.

    Args:
      layers: Gradients by name, activation norms or None, and the number of leading
        axes of scans, by the path of the module.
    """

    def stack(path):
        grads, _, num_scans = layers[path]
        shape = next(iter(grads.values())).shape[:num_scans]
        return shape, path.partition("/")[0] if num_scans else path

    for (shape, _), paths in itertools.groupby(layers, stack):
        members = [*paths]
        for index in np.ndindex(*shape):
            suffix = f"[{','.join(map(str, index))}]" if shape else ""
            for path in members:
                grads, norms, _ = layers[path]
                gradient = _norm([leaf[index] for leaf in grads.values()])
                activation = jnp.full((), jnp.nan)
                if norms is not None and norms.shape[: len(shape)] == shape:
                    activation = _root_mean_square(norms[index])
                yield f"{path or 'model'}{suffix}", LayerStats(gradient, activation)


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
    """Root of the sum or mean of squares, without underflow or overflow of these."""
    # Vanishing gradients of 1e-30 are of interest, whose squares are zero in float32.
    peak = jnp.abs(x).max(initial=0)
    scale = jnp.where((peak > 0) & jnp.isfinite(peak), peak, 1)
    return scale * jnp.sqrt(average(jnp.square(x / scale)))
