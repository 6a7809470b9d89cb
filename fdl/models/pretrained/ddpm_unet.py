"""Conversion rules of DDPM's U-Net for checkpoints of diffusers."""

from fdl.models.pretrained.layer_rules import conv, dense, layer_norm
from fdl.models.pretrained.rules import Rule


def _blocks(theirs: str, ours: str, query: str, key: str, value: str, out: str):
    block, attention = f"{theirs}.resnets.{{j}}", f"{theirs}.attentions.{{j}}"
    ours = f"{ours}_{{j}}"
    return [
        *layer_norm(f"{block}.norm1", f"{ours}/norm1"),
        *conv(f"{block}.conv1", f"{ours}/conv1"),
        *dense(f"{block}.time_emb_proj", f"{ours}/time"),
        *layer_norm(f"{block}.norm2", f"{ours}/norm2"),
        *conv(f"{block}.conv2", f"{ours}/conv2"),
        *conv(f"{block}.conv_shortcut", f"{ours}/shortcut"),
        *layer_norm(f"{attention}.group_norm", f"{ours}/attention_norm"),
        *dense(f"{attention}.{query}", f"{ours}/attention/query"),
        *dense(f"{attention}.{key}", f"{ours}/attention/key"),
        *dense(f"{attention}.{value}", f"{ours}/attention/value"),
        *dense(f"{attention}.{out}", f"{ours}/attention/out"),
    ]


def _rules(*names: str) -> list[Rule]:
    return [
        *conv("conv_in", "conv"),
        *dense("time_embedding.linear_{i}", "time{i}"),
        *_blocks("down_blocks.{i}", "down{i}", *names),
        *conv("down_blocks.{i}.downsamplers.0.conv", "downsample{i}"),
        *_blocks("mid_block", "middle", *names),
        *_blocks("up_blocks.{i}", "up{i}", *names),
        *conv("up_blocks.{i}.upsamplers.0.conv", "upsample{i}"),
        *layer_norm("conv_norm_out", "norm"),
        *conv("conv_out", "head"),
    ]


DIFFUSERS = _rules("to_q", "to_k", "to_v", "to_out.0")
# The names of the first versions of diffusers, in which the paper's weights are.
DIFFUSERS_OLD = _rules("query", "key", "value", "proj_attn")
