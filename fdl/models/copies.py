"""Target networks, which begin as copies."""

from fdl.errors import UserError, near
from fdl.types import Key, Model, Variables


def with_copies(model: Model, **sources: str) -> Model:
    """Combination of networks, some of which begin as copies of others.

    Target networks of Q-learning or of actor-critics are equal to those that they
    follow before the first update.

    Args:
      model: Combination of networks; see `combine`.
      **sources: Name of the network that is copied, by that of the copy.

    Raises:
      UserError: When it is initialised: there is no network of such a name.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from fdl import models
      >>> layer = models.functional(models.linear(2), jnp.zeros((1, 3)))
      >>> model = models.combine(online=layer, target=layer)
      >>> model = with_copies(model, target="online")
      >>> params = model.init(jax.random.key(0))["params"]
      >>> jax.tree.map(jnp.array_equal, params["online"], params["target"])
      {'head': {'bias': Array(True, dtype=bool), 'kernel': Array(True, dtype=bool)}}
    """

    def init(key: Key) -> Variables:
        variables = model.init(key)
        for name in {*sources, *sources.values()}:
            if name not in variables["params"]:
                hint = near(name, variables["params"])
                raise UserError(f"there is no network {name!r}. {hint}")
        return {
            collection: {
                name: tree.get(sources.get(name, name), part)
                for name, part in tree.items()
            }
            for collection, tree in variables.items()
        }

    return Model(init, model.apply)
