"""Losses: arrays in, one number per example out; the caller takes the mean."""

from fdl.losses.classification import cross_entropy
from fdl.losses.policy import clipped_surrogate
from fdl.losses.regression import absolute_error, squared_error

__all__ = ["absolute_error", "clipped_surrogate", "cross_entropy", "squared_error"]
