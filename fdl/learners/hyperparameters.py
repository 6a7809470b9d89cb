"""Numeric hyperparameters in the state of a learner, rather than in its program."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import PartitionSpec

from fdl.errors import UserError
from fdl.learners.step_outputs import checked
from fdl.types import Array, Batch, Key, Learner, Metrics, PyTree, State, Step


class InjectedState(NamedTuple):
    """State of a learner with its hyperparameters; see `inject_hyperparameters`.

    Attributes:
      hyperparameters: Values by name, float32 [].
      inner: State of the learner that was made of them.
    """

    hyperparameters: Mapping[str, Array]
    inner: State


def inject_hyperparameters(make: Callable[..., Learner]) -> Callable[..., Learner]:
    """Traced hyperparameters of a learner, as `optax.inject_hyperparams` traces them.

    Learners that differ only in numbers, such as a learning rate, a decay or a
    discount, then share one program: `replicate` trains them vmapped. Numbers that
    decide on shapes, on counts or on a branch of Python cannot be traced: ``make``
    closes over them.

    Args:
      make: ``make(**values)``, a learner. It is called with floats once for each
        learner, and with traced values, float32 [], for their ``init`` and ``step``.

    Returns:
      ``make(**values)``, a learner on `InjectedState`. It raises a `UserError` if a
      value is no number or, once it is traced, if it has to be known.

    Example:
      >>> import fdl
      >>> walk = fdl.inject_hyperparameters(
      ...     lambda scale: fdl.monte_carlo(lambda key: {"x": scale * 1.0})
      ... )
      >>> learner, _ = fdl.replicate([walk(scale=2), walk(scale=3)], fdl.data.no_data())
      >>> _, metrics = learner.step(learner.init(jax.random.key(0)), None)
      >>> metrics["x"].compute()
      Array([2., 3.], dtype=float32)
    """

    def traced(hyperparameters: Mapping[str, Array]) -> Learner:
        try:
            return make(**hyperparameters)
        except jax.errors.ConcretizationTypeError as error:
            names = ", ".join(hyperparameters)
            raise UserError(
                f"hyperparameters {names}: expected numbers that are only computed "
                "with, as they are traced; the function has to close over others"
            ) from error

    # Always traced: known values would make another program, such as one without a
    # decay where it is zero.
    @jax.jit
    def init(hyperparameters: Mapping[str, Array], key: Key) -> InjectedState:
        return InjectedState(hyperparameters, traced(hyperparameters).init(key))

    @jax.jit
    def step(state: InjectedState, batch: Batch) -> tuple[InjectedState, Metrics]:
        one = traced(state.hyperparameters)
        inner, metrics = checked(one.step)(state.inner, batch)
        # A traced float32 widens what an optimizer computes in half precision.
        inner = jax.tree.map(lambda x, old: x.astype(old.dtype), inner, state.inner)
        return state._replace(inner=inner), metrics

    def make_injected(**values: float) -> Learner:
        for name, value in values.items():
            is_number = isinstance(value, int | float | np.number)
            if not is_number or isinstance(value, bool):
                raise UserError(f"{name}={value!r}: expected a number, to be traced")
        arrays = {name: np.float32(value) for name, value in values.items()}
        return _injected(make(**values), lambda key: init(arrays, key), step)

    return make_injected


def _injected(learner: Learner, init: Callable[[Key], State], step: Step) -> Learner:
    """Learner with the injected functions; all others see the state of its own."""

    def persist(state: InjectedState) -> InjectedState:
        assert learner.persist is not None
        return state._replace(inner=learner.persist(state.inner))

    def revive(part: InjectedState, key: Key) -> InjectedState:
        assert learner.revive is not None
        return part._replace(inner=learner.revive(part.inner, key))

    partition: PyTree = InjectedState(PartitionSpec(), learner.partition)  # type: ignore[arg-type]
    return learner._replace(
        init=init,
        step=step,
        variables=lambda state: learner.variables(state.inner),
        partition=partition,
        persist=learner.persist and persist,
        revive=learner.revive and revive,
    )
