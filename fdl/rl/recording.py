"""Recording of episodes: what a trained policy sees, does and is paid for."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fdl.errors import check_positive
from fdl.rl.policies import Policy
from fdl.rl.recurrent import RecurrentPolicy, with_carry
from fdl.rl.rollout import Transition, reset_all, step_all
from fdl.types import Array, Env, Key, Variables

CHUNK = 128  # Steps of one compiled call.


class Player(NamedTuple):
    """Policy with its environment, to be watched: the ``player`` of an experiment.

    Attributes:
      env: Environment.
      policy: Policy, such as `greedy(actor(model), distribution)`, or one with a carry.
      probabilities: ``probabilities(variables, observations)``, those of the discrete
        actions, float [E, A]; None if there are none.
    """

    env: Env
    policy: Policy | RecurrentPolicy
    probabilities: Callable[[Variables, Array], Array] | None = None


class Episode(NamedTuple):
    """Episode of T steps, on the host.

    Attributes:
      transitions: Transitions, [T, ...]; the last one ends the episode, unless it was
        longer than what was recorded.
      probabilities: Probabilities of the actions, float [T, A]; None if there are none.
    """

    transitions: Transition
    probabilities: np.ndarray | None

    @property
    def ended(self) -> bool:
        """True if the last transition ends the episode."""
        return bool(self.transitions.ended[-1])

    @property
    def total(self) -> float:
        """Undiscounted return."""
        return float(np.sum(self.transitions.reward, dtype=np.float64))


def record(
    player: Player,
    variables: Variables,
    key: Key,
    *,
    num_episodes: int = 1,
    max_steps: int = 1000,
) -> list[Episode]:
    """Records whole episodes of a policy.

    Args:
      player: Policy and environment.
      variables: Variables of the policy's model.
      key: Key of resets, transitions and stochastic policies.
      num_episodes: Number of episodes, E, played side by side.
      max_steps: Number of steps after which an episode is recorded no further.

    Returns:
      Episodes, each with the steps up to its own end.

    Raises:
      UserError: There is no episode, or no step.
    """
    check_positive(num_episodes=num_episodes, max_steps=max_steps)
    env, policy = player.env, with_carry(player.policy)
    reset_key, play_key = jax.random.split(key)

    @jax.jit
    def play(carry, start):
        def step(carry, i):
            memory, env_state, observation = carry
            act_key, step_key = jax.random.split(jax.random.fold_in(play_key, i))
            memory, action = policy.step(variables, memory, observation, act_key)
            probabilities: Any = ()
            if player.probabilities is not None:
                probabilities = player.probabilities(variables, observation)
            env_state, timestep = step_all(env, env_state, action, step_key)
            transition = Transition(observation, action, *timestep)
            carry = memory, env_state, timestep.observation
            return carry, (transition, probabilities)

        return jax.lax.scan(step, carry, start + jnp.arange(CHUNK))

    start = jax.jit(lambda key: reset_all(env, key, num_episodes))(reset_key)
    carry: Any = (policy.init(num_episodes), *start)
    chunks: list[Any] = []
    ended = np.zeros(num_episodes, bool)
    while len(chunks) * CHUNK < max_steps and not ended.all():
        carry, chunk = play(carry, len(chunks) * CHUNK)
        chunks.append(jax.device_get(chunk))
        ended |= chunks[-1][0].ended.any(axis=0)
    whole = jax.tree.map(lambda *x: np.concatenate(x)[:max_steps], *chunks)
    return [_episode(whole, i) for i in range(num_episodes)]


def _episode(whole: Any, i: int) -> Episode:
    """Steps of one of several episodes, up to its first end."""
    ended = whole[0].ended[:, i]
    length = int(ended.argmax()) + 1 if ended.any() else len(ended)
    own, shares = jax.tree.map(lambda x: x[:length, i], whole)
    return Episode(own, None if isinstance(shares, tuple) else shares)
