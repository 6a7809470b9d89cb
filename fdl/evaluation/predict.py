"""Abilities of a trained model, applied to any number of new examples."""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from fdl.data.npz_files import as_dtype, names_of, place
from fdl.errors import UserError, check_type, near
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
      inputs: Encoded inputs by name, each [N, ...], in the units of the training data;
        N is at least 1. `fdl.data.encoder` makes them of raw ones. An ability without
        inputs takes none, and is called once.
      batch_size: Maximum number of examples in one call.
      seed: Seed of what is drawn.

    Returns:
      Outputs by name, each [N, ...], of finite numbers.

    Raises:
      UserError: The inputs are not those that the ability takes, or outputs are not
        finite; the text names the row.
    """
    key = jax.random.key(seed)
    if ability.inputs is None:
        return dict(jax.device_get(jax.jit(ability.function)(variables, inputs, key)))
    columns = ability.inputs.columns
    inputs = _checked(ability.inputs.inputs, inputs, columns)
    count = len(next(iter(inputs.values())))
    size = min(batch_size, count)

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
    found = dict(jax.tree.map(lambda *x: np.concatenate(x)[:count], *parts))
    _check_finite(found, inputs, columns)
    return found


def _checked(
    specs: Mapping[str, jax.ShapeDtypeStruct],
    inputs: Mapping[str, np.ndarray],
    columns: Sequence[str],
) -> dict[str, np.ndarray]:
    """Inputs as arrays of the expected shapes and dtypes, all of one length."""
    check_type("inputs", inputs, Mapping, "{'image': images}")
    for name in inputs:
        if name not in specs:
            raise UserError(f"there is no input {name!r}. {near(name, specs)}")
    arrays = {}
    for name, spec in specs.items():
        if name not in inputs:
            raise UserError(f"inputs={[*inputs]}: expected {name!r} among them")
        array = np.asarray(inputs[name])
        if array.shape[1:] != spec.shape or not len(array):
            raise UserError(
                f"{name!r} is {list(array.shape[1:])} in each of {len(array)} "
                f"examples: expected {list(spec.shape)} in one or more"
            )
        # Pixels from 0 to 1 where bytes are expected, say, are refused here, and so is
        # what JAX would narrow to 32 bits without a word.
        dtype = jax.dtypes.canonicalize_dtype(spec.dtype)
        arrays[name] = as_dtype(array, dtype, name, columns=columns)
    lengths = sorted({len(array) for array in arrays.values()})
    if len(lengths) != 1:
        raise UserError(f"expected inputs of equal length, got {lengths}")
    return arrays


def _check_finite(
    outputs: Mapping[str, np.ndarray],
    inputs: Mapping[str, np.ndarray],
    columns: Sequence[str],
) -> None:
    """Raises `UserError` if an output is NaN or infinite, with the likely cause."""
    for name, values in outputs.items():
        finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
        if finite.all():
            continue
        row = int(np.argmin(finite))
        largest = []
        for key, array in inputs.items():
            sizes = np.abs(array[row].astype(np.float64))
            index = np.unravel_index(np.argmax(sizes), sizes.shape)
            where = place(key, (row, *index), names_of(array, columns))
            largest.append((sizes[index], where))
        size, where = max(largest)
        raise UserError(
            f"{name!r} is not finite in row {row + 1}, and in {(~finite).sum()} of "
            f"{len(finite)} in all; the largest number of that row is {size:g}, of "
            f"{where}"
        )
