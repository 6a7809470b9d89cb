"""Published weights: reading, writing and converting safetensors checkpoints."""

from fdl.models.pretrained.checkpoint import load, save
from fdl.models.pretrained.convert import to_ours, to_theirs
from fdl.models.pretrained.report import Report, WeightsError
from fdl.models.pretrained.rules import Rule, Rules

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
