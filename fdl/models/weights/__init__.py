"""Weights that others publish: how they are named and laid out, and reading them."""

from fdl.models.weights import resnet as resnet
from fdl.models.weights.convert import Report, to_ours, to_theirs
from fdl.models.weights.rules import Rule, Rules

__all__ = ["Report", "Rule", "Rules", "resnet", "to_ours", "to_theirs"]
