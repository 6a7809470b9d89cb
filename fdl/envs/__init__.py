"""Environments, adapted to the interface `Env`."""

from fdl.envs.gymnax import gymnax
from fdl.envs.specs import box, discrete
from fdl.envs.wrappers import clip_actions

__all__ = ["box", "clip_actions", "discrete", "gymnax"]
