"""Several networks as one model."""

from typing import Any

import jax

from fdl.errors import UserError, near
from fdl.trees import select_variables, side_by_side
from fdl.types import Array, Key, Model, PyTree, Variables


def combine(**networks: Model) -> Model:
    """Combination of several networks, with their variables side by side.

    Of networks ``actor`` and ``critic``, the variables are ``{"params": {"actor": ...,
    "critic": ...}}``, and so for all collections. A `fdl.gradient_step` trains one of
    them with ``wrt="critic"``.

    Args:
      **networks: Networks by name.

    Returns:
      A model whose ``apply(variables, name, *inputs, **options)`` calls the network of
      that name; of the model state it returns, only the part of that network changes.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from fdl import models
      >>> layer = models.functional(models.linear(2), jnp.zeros((1, 3)))
      >>> model = combine(actor=layer, critic=layer)
      >>> variables = model.init(jax.random.key(0))
      >>> model.apply(variables, "critic", jnp.ones((4, 3)))[0].shape
      (4, 2)
    """

    def init(key: Key) -> Variables:
        keys = jax.random.split(key, len(networks))
        pairs = zip(networks.items(), keys, strict=True)
        return side_by_side({name: model.init(k) for (name, model), k in pairs})

    def apply(
        variables: Variables, name: str, *inputs: Array, **options: Any
    ) -> tuple[Any, PyTree]:
        if name not in networks:
            raise UserError(f"there is no network {name!r}. {near(name, networks)}")
        part = select_variables(variables, name)
        outputs, changed = networks[name].apply(part, *inputs, **options)
        model_state = {k: v for k, v in variables.items() if k != "params"}
        for collection, tree in changed.items():
            others = model_state.get(collection, {})
            model_state[collection] = {**others, name: tree}
        return outputs, model_state

    return Model(init, apply)
