"""Environments, behind the one `Env`."""

from fdl.envs.gymnax import gymnax

__all__ = ["gymnax"]
