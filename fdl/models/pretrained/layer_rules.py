"""Conversion rules of common layers for PyTorch's checkpoints."""

from fdl.models.pretrained.rules import CONV, DENSE, Layout, Rule


def dense(theirs: str, ours: str, layout: Layout = DENSE) -> list[Rule]:
    """Conversion rules of a dense layer: kernel and bias."""
    return [
        Rule(f"{theirs}.weight", f"params/{ours}/kernel", layout),
        Rule(f"{theirs}.bias", f"params/{ours}/bias"),
    ]


def conv(theirs: str, ours: str) -> list[Rule]:
    """Conversion rules of a convolution: kernel and bias."""
    return dense(theirs, ours, CONV)


def layer_norm(theirs: str, ours: str) -> list[Rule]:
    """Conversion rules of a layer or group normalisation: scale and bias."""
    return [
        Rule(f"{theirs}.weight", f"params/{ours}/scale"),
        Rule(f"{theirs}.bias", f"params/{ours}/bias"),
    ]
