"""Tables of values, and what is made of them."""

from collections.abc import Callable

import jax.numpy as jnp

from fdl.envs.specs import expect
from fdl.errors import UserError
from fdl.types import Array, Env, Model

Rate = float | Callable[[Array], Array]  # Constant, or a schedule of the step.


def table(env: Env, *, initial: float = 0.0) -> Model:
    """Model of action values that is a table with a row for each observation.

    ``apply(variables, observation)`` takes observations, int [B], to values, float
    [B, A]. With `rl.greedy` and a categorical distribution it is the greedy policy of
    a table; with its gradients, a network without generalisation.

    Args:
      env: Environment whose observations and actions are each a discrete number.
      initial: Initial value of all actions; above all true ones, it makes the greedy
        policy try everything (optimistic initial values).

    Raises:
      UserError: Observations or actions are no such numbers.

    Example:
      >>> import jax
      >>> from fdl import envs
      >>> model = table(envs.from_mdp(envs.mdps.cliff()))
      >>> model.init(jax.random.key(0))["params"]["action_values"].shape
      (48, 4)
    """
    shape = sizes(env)

    def init(key):
        del key
        return {"params": {"action_values": jnp.full(shape, initial, jnp.float32)}}

    def apply(variables, observation, *, key=None, train=False, mutable=()):
        del key, train, mutable
        expect("observation", observation, env.observation)
        return variables["params"]["action_values"][observation], {}

    return Model(init, apply)


def sizes(env: Env) -> tuple[int, int]:
    """Numbers of observations and of actions, S and A.

    Args:
      env: Environment.

    Raises:
      UserError: Observations or actions are no discrete numbers.
    """
    numbers = []
    for name, spec in (("observation", env.observation), ("action", env.action)):
        if not isinstance(spec.num_values, int):
            raise UserError(
                f"env.{name}.num_values={spec.num_values}: expected one number, as of "
                "envs.from_mdp"
            )
        numbers.append(spec.num_values)
    return numbers[0], numbers[1]


def epsilon_greedy(action_values: Array, epsilon: float | Array) -> Array:
    """Probabilities of the ε-greedy policy: the best action, or with ε any of them.

    Args:
      action_values: Values of the actions, float [..., A].
      epsilon: Probability of an action at random, in [0, 1].

    Returns:
      Probability of each action, float [..., A]; those that are best share alike.

    Example:
      >>> epsilon_greedy(jnp.array([1.0, 3.0, 3.0, 0.0]), 0.5)
      Array([0.125, 0.375, 0.375, 0.125], dtype=float32)
    """
    best = action_values == action_values.max(axis=-1, keepdims=True)
    share = best / best.sum(axis=-1, keepdims=True)
    return (1 - epsilon) * share + epsilon / action_values.shape[-1]


def checked_policy(policy: Array, env: Env) -> Array:
    """Probability of each action of a policy, float32 [S, A].

    Raises:
      UserError: Observations or actions are no discrete numbers, or the policy has
        another shape.
    """
    policy = jnp.asarray(policy, jnp.float32)
    if policy.shape != sizes(env):
        raise UserError(f"policy {[*policy.shape]}: expected {[*sizes(env)]}")
    return policy


def rate_at(rate: Rate, step: Array) -> float | Array:
    """Rate at a step."""
    return rate(step) if callable(rate) else rate
