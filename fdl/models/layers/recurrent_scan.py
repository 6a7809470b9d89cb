"""Scan of a recurrent cell over time, with a custom backward pass.

JAX's derivative of a scan accumulates the gradient of the weights at every step, which
is bound by memory bandwidth. The backward pass here carries only the gradient of the
state through time, and computes those of the weights as single matrix products after
the loop.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from fdl.models.layers.recurrent_cells import Cell, State
from fdl.types import Array


class Weights(NamedTuple):
    """Weights of a recurrent layer.

    Attributes:
      inputs: Kernels of the input, float [D, H] for each of `Cell.of_inputs`.
      state: Kernels of the state, float [H, H] for each of `Cell.of_state`.
      biases: Biases of the pre-activations, float [H] each.
    """

    inputs: tuple[Array, ...]
    state: tuple[Array, ...]
    biases: tuple[Array, ...]


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def recur(
    cell: Cell,
    reverse: bool,
    weights: Weights,
    inputs: Array,
    state: State,
    mask: Array | None = None,
    resets: Array | None = None,
) -> tuple[Array, State]:
    """Runs a recurrent cell over a sequence.

    Products are in the dtype of inputs and weights, which have the same; the state and
    the elementwise operations are in the dtype of the state. Reverse-mode derivatives
    are supported, and derivatives of these in either mode, but not forward mode itself.

    Args:
      cell: `ELMAN`, `GRU` or `LSTM`.
      reverse: Whether to run from the last step to the first.
      weights: Weights of the layer.
      inputs: float [T, B, D].
      state: Initial state, float [B, H] each.
      mask: bool [T, B]; where false, the state is unchanged and the output is zero.
      resets: bool [T, B]; where true, the state is set to zero before the step.

    Returns:
      Outputs, float [T, B, H], and the state after the last step.
    """
    return _forward(cell, reverse, weights, inputs, state, mask, resets)[0]


def _forward(cell, reverse, weights, inputs, state, mask, resets):
    # The terms of the input do not depend on the state: one product for all steps.
    bias_of = [bias.astype(inputs.dtype)[None] for bias in weights.biases]
    from_inputs = tuple(
        inputs @ kernel + bias_of[k][None]
        for k, kernel in zip(cell.of_inputs, weights.inputs, strict=True)
    )
    state, (outputs, *saved) = _by_platform(
        functools.partial(_run, cell, reverse),
        weights,
        state,
        (from_inputs, _column(mask), _column(resets)),
    )
    return (outputs, state), (weights, inputs, saved, mask, resets)


def _run(cell, reverse, weights, state, per_step, *, apart):
    dtype = weights.state[0].dtype
    products = _products(weights.state, state[-1].dtype, apart)

    def step(state, x):
        from_inputs, is_token, is_first = x
        if is_first is not None:
            state = _zero(is_first, state)
        of_state = products(state[-1].astype(dtype))
        input_terms = dict(zip(cell.of_inputs, from_inputs, strict=True))
        state_terms = dict(zip(cell.of_state, of_state, strict=True))
        # A term of the input contains its bias already.
        sums = [
            input_terms.get(k, bias[None]) + state_terms.get(k, 0)
            for k, bias in enumerate(weights.biases)
        ]
        new, saved = cell.forward(state, sums)
        output = new[-1]
        if is_token is not None:
            new, output = _where(is_token, new, state), _zero(~is_token, output)
        # The states before each step are saved in half precision where products are,
        # which halves the memory of the backward pass; the carry is not rounded.
        return new, _cast((output, state, saved), dtype)

    return jax.lax.scan(step, state, per_step, reverse=reverse)


def _backward(cell, reverse, residuals, cotangents):
    weights, inputs, (before, saved), mask, resets = residuals
    d_outputs, d_state = cotangents
    d_state, d_sums = _by_platform(
        functools.partial(_run_back, cell, reverse),
        weights,
        d_state,
        (d_outputs, before, saved, _column(mask), _column(resets)),
    )
    # Steps and examples are one axis of the products: the sum over time is inside.
    x, h, *d = (v.reshape(-1, v.shape[-1]) for v in (inputs, before[-1], *d_sums))
    d_weights = Weights(
        tuple(x.T @ d[k] for k in cell.of_inputs),
        tuple(h.T @ d[k] for k in cell.of_state),
        tuple(v.sum(axis=0) for v in d),
    )
    pairs = zip(cell.of_inputs, weights.inputs, strict=True)
    d_inputs = sum(d[k] @ kernel.T for k, kernel in pairs)
    # The flags, which are boolean, have no gradient.
    return d_weights, d_inputs.reshape(inputs.shape), d_state, None, None


def _run_back(cell, reverse, weights, d_state, per_step, *, apart):
    dtype, wide = weights.state[0].dtype, d_state[-1].dtype
    sum_of_products = _sum_of_products(weights.state, wide, apart)

    def step(d_state, x):
        d_output, before, saved, is_token, is_first = x
        # The last part of the state is the output: its gradient comes from both.
        *others, d_h = d_state
        d_new = (*others, d_h + d_output)
        if is_token is not None:
            d_new = _zero(~is_token, d_new)
        before, saved = _cast((before, saved), wide)
        d_before, d_sums = cell.backward(before, saved, d_new)
        d_sums = _cast(d_sums, dtype)
        *others, d_h = d_before
        d_before = (*others, d_h + sum_of_products([d_sums[k] for k in cell.of_state]))
        # In the reverse order of the forward step: padding passes the gradient through,
        # and a reset stops it.
        if is_token is not None:
            d_before = _where(is_token, d_before, d_state)
        if is_first is not None:
            d_before = _zero(is_first, d_before)
        return d_before, d_sums

    return jax.lax.scan(step, d_state, per_step, reverse=not reverse)


recur.defvjp(_forward, _backward)


def _by_platform(run, *args):
    """Runs with a product for each gate on the CPU, and with a joint one elsewhere.

    On the CPU, splitting a joint product into gates takes a few per cent of a training
    step. On a GPU, the launch of a product costs as much as all of them together.
    """
    apart, together = (functools.partial(run, apart=apart) for apart in (True, False))
    return jax.lax.platform_dependent(*args, cpu=apart, default=together)


def _products(kernels, dtype, apart):
    """Function of h that returns ``h @ kernel`` for each kernel."""
    dot = functools.partial(jnp.matmul, preferred_element_type=dtype)
    if apart:
        return lambda h: [dot(h, kernel) for kernel in kernels]
    joint = jnp.concatenate(kernels, axis=1)
    return lambda h: jnp.split(dot(h, joint), len(kernels), axis=1)


def _sum_of_products(kernels, dtype, apart):
    """Function of values that returns the sum of ``value @ kernel.T``."""
    dot = functools.partial(jnp.matmul, preferred_element_type=dtype)
    if apart:
        transposed = [kernel.T for kernel in kernels]
        return lambda v: sum(dot(x, k) for x, k in zip(v, transposed, strict=True))
    joint = jnp.concatenate(kernels, axis=1).T
    return lambda v: dot(jnp.concatenate(v, axis=1), joint)


def _where(condition, x, y):
    """Leaves of tree x where the condition is true, and else of tree y."""
    return jax.tree.map(functools.partial(jnp.where, condition), x, y)


def _zero(condition, tree):
    """Tree whose leaves are zero where the condition is true."""
    return jax.tree.map(lambda x: jnp.where(condition, 0, x), tree)


def _cast(tree, dtype):
    return jax.tree.map(lambda x: x.astype(dtype), tree)


def _column(flags):
    """Flags [T, B] as [T, B, 1]."""
    return None if flags is None else flags[..., None]
