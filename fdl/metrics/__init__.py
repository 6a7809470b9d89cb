"""Metrics as mergeable sums: exact over uneven batches, masks and devices."""

from fdl.metrics.means import accuracy, mean, mean_absolute_error

__all__ = ["accuracy", "mean", "mean_absolute_error"]
