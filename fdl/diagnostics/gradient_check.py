"""Gradient check by central finite differences in double precision."""

import functools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fdl.diagnostics.float64 import to_float64
from fdl.errors import RunError, UserError
from fdl.trees import path_name
from fdl.types import Batch, Key, Objective, Params, Variables


class Precision(NamedTuple):
    """Step sizes and error bounds of finite differences at a machine precision.

    Attributes:
      step_sizes: Step sizes h of the difference quotients, descending; the smaller ones
        are used where a kink is near.
      rounding_error: Absolute rounding error of a central difference quotient, relative
        to the loss.
      slope_jump: Least difference between forward and backward quotients that counts as
        a kink, relative to the sum of their magnitudes. Curvature causes less at the
        smallest step size.
      min_tolerance: Least tolerance on the relative difference that is attainable.
    """

    step_sizes: tuple[float, ...]
    rounding_error: float
    slope_jump: float
    min_tolerance: float


# The error of a central quotient is O(h²) from truncation and O(eps / h) from rounding,
# least at h of about eps^(1/3): 6e-6 in float64 and 5e-3 in float32.
DOUBLE = Precision((1e-5, 1e-6, 1e-7), 1e-10, 1e-4, 1e-9)
SINGLE = Precision((1e-2, 3e-3), 2e-4, 0.1, 1e-2)


class LeafCheck(NamedTuple):
    """Gradient check of one leaf of the parameters.

    Attributes:
      name: Path of the leaf.
      size: Number of elements.
      norm: Norm of the gradient.
      difference: Relative difference ‖g − n‖ / (‖g‖ + ‖n‖), where g are the directional
        derivatives by the gradient and n those by finite differences, over all
        directions without a kink; NaN if there are none.
      directions: Number of directions.
      kinks: Number of directions along which the loss has a kink, so that they cannot
        be compared.
      passed: True if the difference is below the tolerance, or explained by rounding.
    """

    name: str
    size: int
    norm: float
    difference: float
    directions: int
    kinks: int
    passed: bool


class Slope(NamedTuple):
    """Directional derivative along one direction.

    Attributes:
      gradient: By the gradient.
      numeric: By a central difference quotient.
      kink: True if the loss has a kink, so that the two need not agree.
    """

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
    """Gradient check of each leaf of the parameters, by central differences in float64.

    Compares n = (f(θ + h v) − f(θ − h v)) / 2h with g = ∇f · v along unit vectors v
    that change one leaf only: the direction of its gradient, and random ones. The
    relative difference of a correct gradient is about 1e-9, that of a wrong one 1e-4 or
    more; values in between are suspicious.

    The loss is that of training, with one key for all evaluations, so that dropout
    drops the same units. Where the loss has a kink between θ − h v and θ + h v (a
    ReLU at zero), no difference quotient equals the gradient: h is decreased, from
    1e-5 to 1e-7; if the one-sided quotients still differ, the direction counts as a
    kink and is left out. For the same reason noise is added to the parameters: biases
    of zero put the ReLUs of blank inputs at their kink.

    Args:
      objective: Objective to check. It has to compute in the dtype of its inputs.
      variables: Variables at which to check it.
      batch: Batch of examples; a few are enough.
      key: Random key of the objective.
      num_directions: Number of directions for each leaf.
      tolerance: Largest relative difference at which a leaf passes.
      precision: `DOUBLE`, or `SINGLE` for an objective with operations fixed to
        float32, such as the softmax of JAX's attention: see `rounded_dtypes`.
      noise: Standard deviation of the Gaussian noise added to the parameters.
      seed: Seed of the noise and of the directions.

    Returns:
      One check for each leaf, in the order of the tree.

    Raises:
      UserError: The loss is not computed in float64.
      RunError: The loss is not finite.

    References:
      Ng, `Improving Deep Neural Networks: gradient checking
      <https://www.coursera.org/learn/deep-neural-network>`_, 2017.
    """
    generator = np.random.default_rng(seed)
    with jax.enable_x64(True):
        variables, batch = to_float64(variables), to_float64(batch)
        rest = {name: part for name, part in variables.items() if name != "params"}
        params = jax.tree.map(
            lambda x: x + noise * generator.normal(size=x.shape), variables["params"]
        )

        @jax.jit
        def loss(params, rest, batch):
            return objective({"params": params, **rest}, batch, key, train=True)[0]

        def loss_at(params: Params) -> float:
            return float(loss(params, rest, batch))

        value, grads = jax.jit(jax.value_and_grad(loss))(params, rest, batch)
        if value.dtype != jnp.float64:
            raise UserError(
                f"loss.dtype={value.dtype}: expected float64, the dtype of its inputs; "
                "a model or loss of a fixed dtype cannot be checked"
            )
        if not np.isfinite(value):
            raise RunError(f"loss={float(value)}: expected a finite number")
        return [
            _check_leaf(name, gradient, [*slopes], float(value), tolerance, precision)
            for name, gradient, slopes in _slopes_by_leaf(
                functools.partial(
                    _compare_slopes,
                    value=float(value),
                    tolerance=tolerance,
                    precision=precision,
                ),
                loss_at,
                params,
                grads,
                num_directions,
                generator,
            )
        ]


def _slopes_by_leaf(
    compare_slopes: Callable[..., Slope],
    loss_at: Callable[[Params], float],
    params: Params,
    grads: Params,
    num_directions: int,
    generator: np.random.Generator,
) -> Iterator[tuple[str, np.ndarray, Iterator[Slope]]]:
    """Name, gradient and slopes of every leaf; slopes are computed when iterated."""
    leaves, structure = jax.tree.flatten(params)
    paths = jax.tree.leaves_with_path(grads)
    for i, (path, leaf) in enumerate(paths):
        gradient = np.asarray(leaf)

        # The default argument binds i at once: the closure outlives this iteration.
        def loss_along(direction, h, i=i):
            perturbed = [*leaves[:i], leaves[i] + h * direction, *leaves[i + 1 :]]
            return loss_at(jax.tree.unflatten(structure, perturbed))

        directions = _directions(gradient, num_directions, generator)
        slopes = (
            compare_slopes(loss_along, gradient, direction) for direction in directions
        )
        yield path_name(path), gradient, slopes


def _directions(gradient, num_directions, generator) -> Iterator[np.ndarray]:
    """Unit vectors: the direction of a gradient that is not zero, then random ones."""
    for k in range(num_directions):
        # Along the gradient the slope is largest, and so rounding matters least.
        vector = gradient if k == 0 and gradient.any() else None
        vector = generator.normal(size=gradient.shape) if vector is None else vector
        yield vector / np.linalg.norm(vector)


def _compare_slopes(
    loss_along, gradient, direction, value, tolerance, precision
) -> Slope:
    """Slope along one direction, by the step size of the least error."""
    slope, least_error = float(np.vdot(gradient, direction)), np.inf
    numeric = forward = backward = np.nan
    for h in precision.step_sizes:
        up, down = loss_along(direction, h), loss_along(direction, -h)
        forward, backward = (up - value) / h, (value - down) / h
        central = (up - down) / (2 * h)
        error = abs(slope - central)
        if error < least_error:
            numeric, least_error = central, error
        size = abs(slope) + abs(central)
        if error < tolerance * size + precision.rounding_error * abs(value):
            return Slope(slope, central, False)
    # The one-sided quotients of the smallest h are compared. A smooth loss leaves a
    # difference by curvature, of order h, and by rounding, of order 1 / h; more than
    # both is a kink.
    jump, size = abs(forward - backward), abs(forward) + abs(backward)
    step_ratio = precision.step_sizes[0] / precision.step_sizes[-1]
    rounding = 10 * step_ratio * precision.rounding_error * abs(value)
    # At a kink every quotient lies between both slopes. An error beyond that is not due
    # to the kink: the gradient is wrong.
    kink = jump > precision.slope_jump * size + rounding and least_error < 2 * jump
    return Slope(slope, numeric, kink)


def _check_leaf(name, gradient, slopes, value, tolerance, precision) -> LeafCheck:
    """Gradient check of a leaf, from the slopes along all directions."""
    pairs = [(slope.gradient, slope.numeric) for slope in slopes if not slope.kink]
    g, n = np.array(pairs).reshape(-1, 2).T
    error, size = np.linalg.norm(g - n), np.linalg.norm(g) + np.linalg.norm(n)
    difference = error / size if size else (0.0 if pairs else np.nan)
    # A gradient of nearly zero has a large relative difference from rounding alone.
    explained = error < precision.rounding_error * abs(value) * np.sqrt(len(slopes))
    return LeafCheck(
        name,
        gradient.size,
        float(np.linalg.norm(gradient)),
        float(difference),
        len(slopes),
        len(slopes) - len(pairs),
        bool(pairs) and bool(difference < tolerance or explained),
    )
