"""Training: the loop, its hooks, checkpoints, meshes and reports."""

from fdl.train.loop import Carry, Hook, Program, compiled, iterate, run
from fdl.train.mesh import make_mesh
from fdl.train.stopping import early_stopping

__all__ = [
    "Carry",
    "Hook",
    "Program",
    "compiled",
    "early_stopping",
    "iterate",
    "make_mesh",
    "run",
]
