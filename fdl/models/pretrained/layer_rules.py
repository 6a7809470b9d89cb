"""Rules of the layers of which most networks are made."""

from fdl.models.pretrained.rules import CONV, DENSE, Layout, Rule


def dense(theirs: str, ours: str, layout: Layout = DENSE) -> list[Rule]:
    """The kernel and the bias of a dense layer."""
    return [
        Rule(f"{theirs}.weight", f"params/{ours}/kernel", layout),
        Rule(f"{theirs}.bias", f"params/{ours}/bias"),
    ]


def conv(theirs: str, ours: str) -> list[Rule]:
    """The kernel and the bias of a convolution."""
    return dense(theirs, ours, CONV)


def layer_norm(theirs: str, ours: str) -> list[Rule]:
    """The scale and the bias of a layer norm."""
    return [
        Rule(f"{theirs}.weight", f"params/{ours}/scale"),
        Rule(f"{theirs}.bias", f"params/{ours}/bias"),
    ]
