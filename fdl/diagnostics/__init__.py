"""Diagnostics of models and learners: gradient check, overfit test, LR range test."""

from fdl.diagnostics.float64 import rounded_dtypes
from fdl.diagnostics.flops import flops, flops_by_scope
from fdl.diagnostics.gradient_check import DOUBLE, SINGLE, LeafCheck, check_gradients
from fdl.diagnostics.layer_stats import LayerStats, layer_stats
from fdl.diagnostics.lr_range_test import LRRangeTest, lr_range_test
from fdl.diagnostics.nan_trace import Origin, trace_nonfinite
from fdl.diagnostics.overfit import Overfit, overfit
from fdl.diagnostics.overfit_diagnosis import diagnose_overfit
from fdl.diagnostics.summary import Layer, summarize

__all__ = [
    "DOUBLE",
    "SINGLE",
    "LRRangeTest",
    "Layer",
    "LayerStats",
    "LeafCheck",
    "Origin",
    "Overfit",
    "check_gradients",
    "diagnose_overfit",
    "flops",
    "flops_by_scope",
    "layer_stats",
    "lr_range_test",
    "overfit",
    "rounded_dtypes",
    "summarize",
    "trace_nonfinite",
]
