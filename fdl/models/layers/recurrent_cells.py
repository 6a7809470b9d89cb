"""Recurrent cells, forward and backward: Elman, GRU and LSTM.

A cell computes pre-activations, which are sums of products with the input and with the
state, and then the new state from them, elementwise. Here are the elementwise parts and
their derivatives; `recurrent_scan` computes the products.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fdl.types import Array

# The recurrent state, float [B, H] each; the last one is also the output.
State = tuple[Array, ...]


class Cell(NamedTuple):
    """Elementwise part of a recurrent cell, and its derivative.

    Attributes:
      gates: Letters of the gates in flax's names of parameters; each has a kernel for
        the input and one for the state.
      biases: Names of the kernels that have a bias, one for each pre-activation.
      of_inputs: Indices of the pre-activations with a term in the input, by gate.
      of_state: Indices of those with a term in the state, by gate.
      forward: ``(state, sums) -> (state, saved)``, where ``sums`` are the
        pre-activations and ``saved`` is what `backward` needs.
      backward: ``(state, saved, d_new_state) -> (d_state, d_sums)``, where ``d_state``
        excludes the gradient that flows through ``d_sums``.
    """

    gates: Sequence[str]
    biases: Sequence[str]
    of_inputs: Sequence[int]
    of_state: Sequence[int]
    forward: Callable[[State, Any], tuple[State, Any]]
    backward: Callable[[State, Any, State], tuple[State, Any]]


def _elman_forward(state, sums):
    del state  # It enters through the pre-activation only.
    h = jnp.tanh(sums[0])
    return (h,), (h,)


def _elman_backward(state, saved, d_new):
    (h,), (d_h,) = saved, d_new
    return (jnp.zeros_like(state[0]),), (d_h * (1 - h * h),)


def _gru_forward(state, sums):
    (h,) = state
    r, z = jax.nn.sigmoid(sums[0]), jax.nn.sigmoid(sums[1])
    n = jnp.tanh(sums[2] + r * sums[3])
    return ((1 - z) * n + z * h,), (r, z, n, sums[3])


def _gru_backward(state, saved, d_new):
    (h,), (r, z, n, s), (d_h,) = state, saved, d_new
    d_n = d_h * (1 - z) * (1 - n * n)
    d_z = d_h * (h - n) * z * (1 - z)
    d_r = d_n * s * r * (1 - r)
    return (d_h * z,), (d_r, d_z, d_n, d_n * r)


def _lstm_forward(state, sums):
    c, _ = state
    i, f, o = (jax.nn.sigmoid(sums[k]) for k in (0, 1, 3))
    g = jnp.tanh(sums[2])
    c = f * c + i * g
    return (c, o * jnp.tanh(c)), (i, f, g, o)


def _lstm_backward(state, saved, d_new):
    (c, _), (i, f, g, o), (d_c, d_h) = state, saved, d_new
    # The new cell state is recomputed instead of saved, which takes less memory.
    tanh_c = jnp.tanh(f * c + i * g)
    d_c = d_c + d_h * o * (1 - tanh_c * tanh_c)
    d_i = d_c * g * i * (1 - i)
    d_f = d_c * c * f * (1 - f)
    d_g = d_c * i * (1 - g * g)
    d_o = d_h * tanh_c * o * (1 - o)
    return (d_c * f, jnp.zeros_like(d_h)), (d_i, d_f, d_g, d_o)


# Flax has the bias of the simple cell and the GRU in the kernels of the input, and that
# of the LSTM in those of the state.
ELMAN = Cell(("",), ("i",), (0,), (0,), _elman_forward, _elman_backward)
# The last pre-activation is the state's term of the candidate. The reset gate scales it
# before it is added to that of the input, so each has its own bias.
GRU = Cell(
    ("r", "z", "n"),
    ("ir", "iz", "in", "hn"),
    (0, 1, 2),
    (0, 1, 3),
    _gru_forward,
    _gru_backward,
)
LSTM = Cell(
    ("i", "f", "g", "o"),
    ("hi", "hf", "hg", "ho"),
    (0, 1, 2, 3),
    (0, 1, 2, 3),
    _lstm_forward,
    _lstm_backward,
)
CELLS = {"elman": ELMAN, "gru": GRU, "lstm": LSTM}
