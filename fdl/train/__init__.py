"""Training: the loop, its hooks, early stopping and device meshes."""

from fdl.train.early_stopping import early_stopping
from fdl.train.hooks import Hook
from fdl.train.loop import Program, compiled, iterate, run
from fdl.train.loop_state import LoopState
from fdl.train.mesh import make_mesh

__all__ = [
    "Hook",
    "LoopState",
    "Program",
    "compiled",
    "early_stopping",
    "iterate",
    "make_mesh",
    "run",
]
