"""Conversion rules of MLP-Mixer for timm's checkpoints."""

from fdl.models.pretrained.layer_rules import conv, dense, layer_norm

_THEIRS, _OURS = "blocks.{i}", "blocks/layers_{i}"

TIMM = [
    *conv("stem.proj", "embedding"),
    *layer_norm(f"{_THEIRS}.norm1", f"{_OURS}/tokens_norm"),
    *dense(f"{_THEIRS}.mlp_tokens.fc1", f"{_OURS}/tokens_mlp/up"),
    *dense(f"{_THEIRS}.mlp_tokens.fc2", f"{_OURS}/tokens_mlp/down"),
    *layer_norm(f"{_THEIRS}.norm2", f"{_OURS}/channels_norm"),
    *dense(f"{_THEIRS}.mlp_channels.fc1", f"{_OURS}/channels_mlp/up"),
    *dense(f"{_THEIRS}.mlp_channels.fc2", f"{_OURS}/channels_mlp/down"),
    *layer_norm("norm", "norm"),
    *dense("head", "head"),
]
