"""Learner of several networks, some of which are followed by target networks."""

import functools
from collections.abc import Mapping

import optax

from fdl.errors import UserError, near
from fdl.learners.compositions import alternate, every, target_update
from fdl.learners.gradient import counted, init_train_state
from fdl.learners.gradient_step import gradient_step
from fdl.models.copies import with_copies
from fdl.trees import select_variables
from fdl.types import Learner, Model, Objective


def target_network_learner(
    model: Model,
    objectives: Mapping[str, Objective],
    optimizer: optax.GradientTransformation
    | Mapping[str, optax.GradientTransformation],
    *,
    policy: str,
    targets: Mapping[str, str],
    rate: float,
    periods: Mapping[str, int] | None = None,
) -> Learner:
    """Learner of several networks with target networks, such as DQN, SAC or TD3.

    A step is a gradient step of each network on the same batch, in their order, and
    then an update of each target network, which begins as a copy.

    Args:
      model: Combination of networks; see `models.combine`.
      objectives: Objective of each network that is trained, by its name.
      optimizer: Optimizer of each network, or several by their names.
      policy: Name of the network that acts: the variables of the learner are its own.
      targets: Name of the network that is followed, by that of the target network.
      rate: τ in (0, 1] of the target networks; see `target_update`.
      periods: Number of steps from one update to the next, by the name of a network or
        of a target network. Default: 1.

    Returns:
      A learner from batches, such as those of `rl.off_policy`; the metrics of a network
      are named ``name/metric``.

    Raises:
      UserError: The rate is not in (0, 1], a period is below 1 or that of no network,
        or networks have no optimizer; when it is initialised: there is no network of
        such a name.

    Example:
      Q-learning with a target network, which is copied in each hundredth step:

      >>> import optax
      >>> from fdl import learners, models, objectives
      >>> network = models.functional(models.QNetwork(2))
      >>> model = models.combine(online=network, target=network)
      >>> learner = learners.target_network_learner(
      ...     model,
      ...     {"online": objectives.q_learning(model)},
      ...     optax.adam(1e-3),
      ...     policy="online",
      ...     targets={"target": "online"},
      ...     rate=1.0,
      ...     periods={"target": 100},
      ... )
    """
    optimizers = optimizer
    if not isinstance(optimizers, Mapping):
        optimizers = dict.fromkeys(objectives, optimizer)
    if set(optimizers) != set(objectives):
        raise UserError(
            f"optimizer={sorted(optimizers)}: expected one of each objective, "
            f"{sorted(objectives)}"
        )
    updates = {
        name: gradient_step(objective, optimizers[name], wrt=name)
        for name, objective in objectives.items()
    }
    for target, online in targets.items():
        updates[target] = target_update(online, target, rate)
    for name, period in (periods or {}).items():
        if name not in updates:
            raise UserError(
                f"periods: there is no network {name!r}. {near(name, updates)}"
            )
        updates[name] = every(period, updates[name])
    return Learner(
        functools.partial(init_train_state, with_copies(model, **targets), optimizers),
        counted(alternate(updates)),
        lambda state: select_variables(state.variables, policy),
    )
