"""Random walk: a chain of states with an exit at each end."""

import numpy as np

from fdl.envs.mdp import MDP
from fdl.errors import UserError


def random_walk(num_states: int = 5, *, left: float = 0.0, right: float = 1.0) -> MDP:
    """Chain of states, from the middle of which an agent walks to one of the exits.

    The actions are a step to the left, 0, and to the right, 1. The first and the last
    state, 0 and ``num_states + 1``, are the exits. A policy that takes both actions
    alike makes it the random walk of Sutton and Barto, whose values lie on a line:
    of their example 6.2 by default, and of figure 12.3 for 19 states and ``left=-1``.

    Args:
      num_states: Number of states between the exits, odd, so that one is the middle.
      left: Reward for leaving at the left.
      right: Reward for leaving at the right.

    Raises:
      UserError: ``num_states`` is even, or below 1.

    References:
      Sutton and Barto, `Reinforcement Learning: An Introduction
      <http://incompleteideas.net/book/the-book-2nd.html>`_, 2018, chapters 6 and 12.
    """
    if num_states < 1 or num_states % 2 == 0:
        raise UserError(f"num_states={num_states}: expected an odd number")
    size = num_states + 2
    states = np.arange(size)
    terminal = (states == 0) | (states == size - 1)
    moved = states[:, None] + np.array([-1, 1])
    next_state = np.where(terminal[:, None], states[:, None], moved)
    exits = np.where(next_state == 0, left, np.where(next_state == size - 1, right, 0))
    reward = np.where(terminal[:, None], 0, exits)
    return MDP(
        probability=np.ones((size, 2, 1), np.float32),
        next_state=next_state[..., None].astype(np.int32),
        reward=reward[..., None].astype(np.float32),
        terminal=terminal,
        start=(states == size // 2).astype(np.float32),
    )
