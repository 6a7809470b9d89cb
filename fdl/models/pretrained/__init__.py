"""Published weights: reading, writing and converting safetensors checkpoints."""

from fdl.models.pretrained.checkpoint import load, save
from fdl.models.pretrained.convert import to_ours, to_theirs
from fdl.models.pretrained.report import Report, WeightsError
from fdl.models.pretrained.rules import Rule, Rules
from fdl.models.pretrained.variables import load_variables, save_variables

__all__ = [
    "Report",
    "Rule",
    "Rules",
    "WeightsError",
    "load",
    "load_variables",
    "save",
    "save_variables",
    "to_ours",
    "to_theirs",
]
