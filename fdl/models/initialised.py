"""Models that begin from given variables."""

import hashlib
from typing import Any

import jax
import numpy as np

from fdl.errors import UserError, check_type
from fdl.trees import named_leaves
from fdl.types import Key, Model, Variables


def initialised(model: Model, variables: Variables) -> Model:
    """Model whose initial variables are given, such as those of a published model.

    They stay on the host until ``init`` runs, and are no constants of its program.
    Their dtypes stay as they are.

    Args:
      model: Model.
      variables: Its variables.

    Raises:
      UserError: In ``init``: they are not the variables of the model.

    Example:
      >>> from fdl import models
      >>> model = models.functional(models.MLP((4,), 2), jax.numpy.zeros((1, 3)))
      >>> variables = jax.jit(model.init)(jax.random.key(0))
      >>> again = jax.jit(initialised(model, variables).init)(jax.random.key(1))
      >>> bool((again["params"]["head"]["kernel"] ==
      ...       variables["params"]["head"]["kernel"]).all())
      True
    """
    check_type("model", model, Model, "fdl.models.functional(module)")
    held = _Held(jax.tree.map(np.asarray, dict(variables)))
    kinds = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), held.variables
    )

    def init(key: Key) -> Variables:
        # A function of its own, which is traced each time: `lora` watches the trace.
        expected = named_leaves(jax.eval_shape(lambda key: model.init(key), key))
        found = named_leaves(kinds)
        for path in sorted({*expected, *found}):
            shapes = [
                list(leaves[path].shape) if path in leaves else "none"
                for leaves in (found, expected)
            ]
            if shapes[0] != shapes[1]:
                raise UserError(
                    f"variables: {path} {shapes[0]}: expected {shapes[1]}, as the "
                    "model has it"
                )
        return jax.pure_callback(held, kinds, vmap_method="broadcast_all")

    return model._replace(init=init)


class _Held:
    """Function without arguments that returns variables on the host.

    It equals another, and has the same text in a program, if their variables do.
    """

    def __init__(self, variables: Any):
        self.variables = variables
        digest = hashlib.sha256()
        for path, leaf in named_leaves(variables).items():
            digest.update(f"{path}{leaf.dtype}{leaf.shape}".encode())
            digest.update(np.ascontiguousarray(leaf).tobytes())
        self._digest = digest.hexdigest()

    def __call__(self) -> Any:
        return self.variables

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held) and self._digest == other._digest

    def __hash__(self) -> int:
        return hash(self._digest)

    def __repr__(self) -> str:
        return f"variables of SHA-256 {self._digest}"
