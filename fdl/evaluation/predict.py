"""Abilities of a trained model, applied to any number of new examples."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from fdl.errors import UserError, near
from fdl.types import Ability, Array, Variables


def predict(
    ability: Ability,
    variables: Variables,
    inputs: Mapping[str, np.ndarray],
    *,
    batch_size: int = 256,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Outputs of an ability for new examples, in batches of one size.

    Args:
      ability: Ability, such as ``predict`` of an experiment.
      variables: Variables of the trained model.
      inputs: Encoded inputs by name, each [N, ...]; N is at least 1.
      batch_size: Maximum number of examples in one call.
      seed: Seed of what is drawn.

    Returns:
      Outputs by name, each [N, ...].

    Raises:
      UserError: The inputs are not those that the ability takes.
    """
    count = _check(ability, inputs)
    size, key = min(batch_size, count), jax.random.key(seed)

    @jax.jit
    def outputs(variables: Variables, rows: Mapping[str, Array], start: Array):
        return ability.function(variables, rows, jax.random.fold_in(key, start))

    parts = []
    for start in range(0, count, size):
        # The last batch is padded by its last example to the size of the others, so
        # that the function is compiled once.
        index = np.minimum(np.arange(start, start + size), count - 1)
        rows = {name: jnp.asarray(array[index]) for name, array in inputs.items()}
        parts.append(jax.device_get(outputs(variables, rows, jnp.int32(start))))
    return dict(jax.tree.map(lambda *x: np.concatenate(x)[:count], *parts))


def _check(ability: Ability, inputs: Mapping[str, np.ndarray]) -> int:
    """Number of examples, if the inputs have the shapes of the ability."""
    for name, expected in ability.inputs.inputs.items():
        if name not in inputs:
            raise UserError(f"there is no input {name!r}. {near(name, inputs)}")
        shape = np.shape(inputs[name])
        if shape[1:] != expected.shape or not shape[0]:
            raise UserError(
                f"{name!r} is {list(shape[1:])} in each of {shape[0]} examples: "
                f"expected {list(expected.shape)} in one or more"
            )
    counts = {len(array) for array in inputs.values()}
    if len(counts) != 1:
        raise UserError(f"expected inputs of equal length, got {sorted(counts)}")
    return counts.pop()
