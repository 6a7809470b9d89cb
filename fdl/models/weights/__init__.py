"""Published weights: reading, writing and converting safetensors checkpoints."""

from fdl.models.weights.checkpoint import load, save
from fdl.models.weights.convert import to_ours, to_theirs
from fdl.models.weights.report import Report, WeightsError
from fdl.models.weights.rules import Rule, Rules

__all__ = [
    "Report",
    "Rule",
    "Rules",
    "WeightsError",
    "load",
    "save",
    "to_ours",
    "to_theirs",
]
