"""Gradients, held against finite differences in double precision."""

import functools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fdl.errors import RunError, UserError
from fdl.tools.precision import doubled
from fdl.types import Batch, Key, Objective, Params, Variables


class Precision(NamedTuple):
    """How far differences can be trusted.

    Attributes:
      steps: h of the difference quotients; the smaller ones are for where a kink is
        near.
      rounding: Of a central quotient, as a share of the loss.
      jump: Of the slope from one side to the other, as a share of it: curves have less
        at the smallest step.
      sharpest: The least tolerance that makes sense.
    """

    steps: tuple[float, ...]
    rounding: float
    jump: float
    sharpest: float


DOUBLE = Precision((1e-5, 1e-6, 1e-7), 1e-10, 1e-4, 1e-9)
SINGLE = Precision((1e-2, 3e-3), 2e-4, 0.1, 1e-2)


class LeafCheck(NamedTuple):
    """What was found of one group of parameters.

    Attributes:
      name: Path of the leaf.
      size: Numbers in it.
      norm: Of its gradient.
      difference: ‖g − n‖ / (‖g‖ + ‖n‖) of the slopes g by the gradient and n by
        differences, along the directions that could be compared; NaN if none could.
      directions: How many were tried.
      kinks: Along how many the loss has a kink, so that they cannot be compared.
      good: Whether the difference is below the tolerance, or explained by rounding.
    """

    name: str
    size: int
    norm: float
    difference: float
    directions: int
    kinks: int
    good: bool


class Slope(NamedTuple):
    """The slope along one direction: by the gradient, and by a difference quotient."""

    gradient: float
    numeric: float
    kink: bool


def check_gradients(
    objective: Objective,
    variables: Variables,
    batch: Batch,
    key: Key,
    *,
    num_directions: int = 4,
    tolerance: float = 1e-7,
    precision: Precision = DOUBLE,
    noise: float = 1e-2,
    seed: int = 0,
) -> list[LeafCheck]:
    """Compares the gradient of each leaf with central differences, in float64.

    n = (f(θ + h v) − f(θ − h v)) / 2h against g = ∇f · v, along unit vectors v that
    change one leaf only: the direction of its gradient, and random ones. Their
    relative difference is about 1e-9 where all is well, and 1e-4 or more where it is
    not. What lies between is suspicious.

    The loss is that of training, with one key for all evaluations, so that dropout
    drops the same units. Where the loss has a kink between θ − h v and θ + h v (a
    ReLU at zero), no difference quotient is the gradient: h is made smaller, from
    1e-5 to 1e-7; if the slopes from both sides differ still, the direction counts as
    a kink, and is left out. For the same reason the parameters are moved a little:
    biases of zero put ReLUs of blank inputs at their kink.

    Args:
      objective: What to check. It has to compute in the dtype of what it is given.
      variables: Where to check it.
      batch: On which data; a few examples are enough.
      key: Of its chance.
      num_directions: For each leaf.
      tolerance: The largest difference that is good.
      precision: `SINGLE` where something on the way computes in float32 whatever it is
        given, as the softmax in JAX's attention does: see `rounded`.
      noise: Standard deviation of what the parameters are moved by.
      seed: Of that, and of the directions.

    Raises:
      UserError: The loss is not computed in float64.
      RunError: It is not finite.

    References:
      Ng, `Improving Deep Neural Networks: gradient checking
      <https://www.coursera.org/learn/deep-neural-network>`_, 2017.
    """
    generator = np.random.default_rng(seed)
    with jax.enable_x64(True):
        variables, batch = doubled(variables), doubled(batch)
        rest = {name: part for name, part in variables.items() if name != "params"}
        params = jax.tree.map(
            lambda x: x + noise * generator.normal(size=x.shape), variables["params"]
        )

        @jax.jit
        def loss(params, rest, batch):
            return objective({"params": params, **rest}, batch, key, train=True)[0]

        def at(params: Params) -> float:
            return float(loss(params, rest, batch))

        value, grads = jax.jit(jax.value_and_grad(loss))(params, rest, batch)
        if value.dtype != jnp.float64:
            raise UserError(
                f"the loss is {value.dtype} where all it is given is float64: "
                "a model or loss of a fixed dtype cannot be checked"
            )
        if not np.isfinite(value):
            raise RunError(f"the loss is {float(value)}: there is no gradient to check")
        return [
            _summary(name, gradient, [*slopes], float(value), tolerance, precision)
            for name, gradient, slopes in _leaves(
                functools.partial(
                    _slope,
                    value=float(value),
                    tolerance=tolerance,
                    precision=precision,
                ),
                at,
                params,
                grads,
                num_directions,
                generator,
            )
        ]


def _leaves(
    slope: Callable[..., Slope],
    at: Callable[[Params], float],
    params: Params,
    grads: Params,
    num_directions: int,
    generator: np.random.Generator,
) -> Iterator[tuple[str, np.ndarray, Iterator[Slope]]]:
    """Name, gradient and slopes of every leaf."""
    leaves, structure = jax.tree.flatten(params)
    paths = jax.tree.leaves_with_path(grads)
    for i, (path, leaf) in enumerate(paths):
        gradient = np.asarray(leaf)

        def along(direction, h, i=i):
            moved = [*leaves[:i], leaves[i] + h * direction, *leaves[i + 1 :]]
            return at(jax.tree.unflatten(structure, moved))

        directions = _directions(gradient, num_directions, generator)
        slopes = (slope(along, gradient, direction) for direction in directions)
        yield jax.tree_util.keystr(path, simple=True, separator="/"), gradient, slopes


def _directions(gradient, num_directions, generator) -> Iterator[np.ndarray]:
    """The direction of the gradient, where there is one, and random ones."""
    for k in range(num_directions):
        along = gradient if k == 0 and gradient.any() else None
        along = generator.normal(size=gradient.shape) if along is None else along
        yield along / np.linalg.norm(along)


def _slope(along, gradient, direction, value, tolerance, precision) -> Slope:
    """The best that can be said of a direction: the difference of the best step."""
    slope, best = float(np.vdot(gradient, direction)), np.inf
    numeric = forward = backward = np.nan
    for h in precision.steps:
        up, down = along(direction, h), along(direction, -h)
        forward, backward = (up - value) / h, (value - down) / h
        central = (up - down) / (2 * h)
        error = abs(slope - central)
        if error < best:
            numeric, best = central, error
        size = abs(slope) + abs(central)
        if error < tolerance * size + precision.rounding * abs(value):
            return Slope(slope, central, False)
    # What is left of the jump at the smallest step is no curvature, and no rounding.
    jump, size = abs(forward - backward), abs(forward) + abs(backward)
    coarser = precision.steps[0] / precision.steps[-1]
    rounding = 10 * coarser * precision.rounding * abs(value)
    kink = jump > precision.jump * size + rounding and best < 2 * jump
    return Slope(slope, numeric, kink)


def _summary(name, gradient, slopes, value, tolerance, precision) -> LeafCheck:
    pairs = [(slope.gradient, slope.numeric) for slope in slopes if not slope.kink]
    g, n = np.array(pairs).reshape(-1, 2).T
    error, size = np.linalg.norm(g - n), np.linalg.norm(g) + np.linalg.norm(n)
    difference = error / size if size else (0.0 if pairs else np.nan)
    explained = error < precision.rounding * abs(value) * np.sqrt(len(slopes))
    return LeafCheck(
        name,
        gradient.size,
        float(np.linalg.norm(gradient)),
        float(difference),
        len(slopes),
        len(slopes) - len(pairs),
        bool(pairs) and bool(difference < tolerance or explained),
    )
