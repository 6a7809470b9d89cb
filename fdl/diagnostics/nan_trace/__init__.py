"""Tracing of NaN and infinity to the operation that first produced them."""

from fdl.diagnostics.nan_trace.report import ArraySummary, Operation, nonfinite_kind
from fdl.diagnostics.nan_trace.trace import Origin, trace_nonfinite
from fdl.diagnostics.nan_trace.traceback import Frame

__all__ = [
    "ArraySummary",
    "Frame",
    "Operation",
    "Origin",
    "nonfinite_kind",
    "trace_nonfinite",
]
