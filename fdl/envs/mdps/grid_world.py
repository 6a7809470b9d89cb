"""Grid worlds of a text map, as Markov decision processes."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from fdl.envs.mdp import MDP
from fdl.errors import UserError, near


class Tile(NamedTuple):
    """Kind of a cell.

    Attributes:
      reward: Reward of a move that leads to such a cell, or that stays there.
      start: Whether episodes begin in such cells, each as often.
      terminal: Whether an episode ends there.
      wall: Whether it cannot be entered: a move into it stays where it was.
      restart: Whether who enters it is put back to the start.
    """

    reward: float = -1.0
    start: bool = False
    terminal: bool = False
    wall: bool = False
    restart: bool = False


TILES: Mapping[str, Tile] = MappingProxyType(
    {
        ".": Tile(),
        "S": Tile(start=True),
        "G": Tile(terminal=True),
        "#": Tile(wall=True),
        "C": Tile(reward=-100.0, restart=True),
    }
)
MOVES = np.array([(-1, 0), (0, 1), (1, 0), (0, -1)])  # Up, right, down, left.


def grid_world(
    text: str, tiles: Mapping[str, Tile] = TILES, *, slip: float = 0.0
) -> MDP:
    """Grid world of a map, one character a cell.

    The actions are the moves up, 0, right, 1, down, 2, and left, 3. A move beyond the
    map stays where it was. States are numbered by rows, walls included.

    Args:
      text: Lines of the map, of equal length; white space around them is ignored.
      tiles: Kind of each character. By default each move costs 1; ``.`` is a free cell,
        ``S`` a start, ``G`` a goal, ``#`` a wall and ``C`` a cliff, from which one
        falls back to the start at a cost of 100. Without a start, an episode begins in
        any cell that is neither a wall nor an end, nor a cliff.
      slip: Probability of a move at a right angle to the chosen one, half to each side.

    Raises:
      UserError: The lines differ in length, a character is no tile, no episode can
        begin, ``slip`` is no probability, or there are several starts to fall back to.

    Example:
      >>> mdp = grid_world('''
      ...     ..#G
      ...     S...
      ... ''')
      >>> mdp.next_state[4, :, 0]  # Of the start: up, right, down and left.
      array([0, 5, 4, 4], dtype=int32)
    """
    if not 0 <= slip <= 1:
        raise UserError(f"slip={slip}: expected a probability")
    kinds, width = _cells(text, tiles)
    start = _start(kinds)
    wall, restart, terminal = (
        np.array([getattr(kind, name) for kind in kinds])
        for name in ("wall", "restart", "terminal")
    )
    if restart.any() and (start > 0).sum() > 1:
        raise UserError("text: expected one start, as there are tiles to restart from")
    states = np.arange(len(kinds))
    cells = np.stack(np.divmod(states, width), axis=1)
    moved = cells[:, None] + MOVES  # [S, 4, 2]
    inside = ((moved >= 0) & (moved < (len(kinds) // width, width))).all(axis=-1)
    target = np.where(inside, moved @ (width, 1), states[:, None])
    target = np.where(wall[target], states[:, None], target)
    rewards = np.array([kind.reward for kind in kinds])[target]
    target = np.where(restart[target], start.argmax(), target)
    # The chosen move, and those to its right and to its left.
    turns = (np.arange(4)[:, None] + [0, 1, -1]) % 4 if slip else np.arange(4)[:, None]
    weights = np.array([1 - slip, slip / 2, slip / 2] if slip else [1.0])
    stays = terminal | wall
    next_state = np.where(stays[:, None, None], states[:, None, None], target[:, turns])
    return MDP(
        probability=np.broadcast_to(weights, next_state.shape).astype(np.float32),
        next_state=next_state.astype(np.int32),
        reward=np.where(stays[:, None, None], 0, rewards[:, turns]).astype(np.float32),
        terminal=terminal,
        start=start,
    )


def cliff() -> MDP:
    """Cliff walking of Sutton and Barto's example 6.6: the short way leads along it.

    Gymnasium's ``CliffWalking-v1``. The best return is -13.
    """
    return grid_world("\n".join(["." * 12] * 3 + ["S" + "C" * 10 + "G"]))


def two_corners() -> MDP:
    """Grid of 4 by 4 cells that ends in two corners: Sutton and Barto's example 4.1."""
    return grid_world("G...\n....\n....\n...G")


def frozen_lake(*, slip: float = 2 / 3) -> MDP:
    """Frozen lake of 4 by 4 cells: a reward of one at the goal, and an end in holes.

    Gymnasium's ``FrozenLake-v1``, but for the order of the actions.

    Args:
      slip: Probability of a move at a right angle to the chosen one.
    """
    tiles = {
        "S": Tile(0.0, start=True),
        "F": Tile(0.0),
        "H": Tile(0.0, terminal=True),
        "G": Tile(1.0, terminal=True),
    }
    return grid_world("SFFF\nFHFH\nFFFH\nHFFG", tiles, slip=slip)


def _cells(text: str, tiles: Mapping[str, Tile]) -> tuple[list[Tile], int]:
    """Kinds of all cells, row by row, and the width of the map."""
    rows = text.split()
    if not rows or len({*map(len, rows)}) != 1:
        raise UserError(f"text={text!r}: expected lines of equal length")
    for character in "".join(rows):
        if character not in tiles:
            hint = near(character, tiles)
            raise UserError(f"text: there is no tile {character!r}. {hint}")
    return [tiles[character] for row in rows for character in row], len(rows[0])


def _start(kinds: list[Tile]) -> np.ndarray:
    """Probability of each cell that an episode begins there, float32 [S]."""
    starts = np.array([kind.start for kind in kinds], np.float32)
    if not starts.any():
        free = [not (kind.terminal or kind.wall or kind.restart) for kind in kinds]
        starts = np.array(free, np.float32)
    if not starts.any():
        raise UserError("text: expected a cell in which an episode can begin")
    return starts / starts.sum()
