"""Deep sea: a treasure that only one sequence of actions reaches."""

import numpy as np

from fdl.envs.mdp import MDP
from fdl.errors import check_positive


def deep_sea(size: int = 10, *, cost: float = 0.01, seed: int | None = 0) -> MDP:
    """Deep sea of bsuite: a grid in which exploration at random takes 2^size episodes.

    An episode begins at the top left, and each of its ``size`` steps goes one row down,
    and one column to the left or to the right. To the right costs ``cost / size``; to
    go right in the last column, which only an episode without a step to the left can,
    pays one. The best return is ``1 - cost``. States are numbered by rows; the last one
    is below them all, and terminal.

    Args:
      size: Number of rows and columns.
      cost: Cost of an episode that goes right only.
      seed: Seed of the action that means right, which differs from state to state; None
        if it is always 1.

    Raises:
      UserError: ``size`` is below 1.

    Example:
      >>> from fdl import rl
      >>> values = rl.tabular.value_iteration(deep_sea(10), discount=1.0).values
      >>> round(float(values[0]), 3)
      0.99

    References:
      Osband et al., `Behaviour Suite for Reinforcement Learning
      <https://arxiv.org/abs/1908.03568>`_, 2019.
    """
    check_positive(size=size)
    terminal = np.arange(size**2 + 1) == size**2
    row, column = np.divmod(np.arange(size**2), size)
    if seed is None:
        right = np.ones(size**2, int)
    else:
        right = np.random.default_rng(seed).integers(2, size=size**2)
    goes_right = np.arange(2) == right[:, None]  # [S, A], without the end.
    moved = column[:, None] + np.where(goes_right, 1, -1)
    below = (row[:, None] + 1) * size + np.clip(moved, 0, size - 1)
    pays = (column == size - 1)[:, None] & goes_right
    next_state = np.full((size**2 + 1, 2), size**2)
    next_state[:-1] = np.minimum(below, size**2)
    reward = np.zeros((size**2 + 1, 2))
    reward[:-1] = pays - goes_right * cost / size
    return MDP(
        probability=np.ones((size**2 + 1, 2, 1), np.float32),
        next_state=next_state[..., None].astype(np.int32),
        reward=reward[..., None].astype(np.float32),
        terminal=terminal,
        start=(np.arange(size**2 + 1) == 0).astype(np.float32),
    )
