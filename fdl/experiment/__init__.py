"""Experiments from their parts: functions that return an `fdl.Experiment`."""

from fdl.experiment.supervised import supervised

__all__ = ["supervised"]
