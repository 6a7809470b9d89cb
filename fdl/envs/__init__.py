"""Environments, adapted to the interface `Env`."""

from fdl.envs.gymnax import gymnax

__all__ = ["gymnax"]
