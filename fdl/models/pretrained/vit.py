"""Conversion rules of ViT for checkpoints of timm, torchvision and transformers."""

from fdl.models.pretrained.layer_rules import conv, dense, layer_norm
from fdl.models.pretrained.rules import DENSE, Rule, Rules

_LAYER = "encoder/layers_{i}"


def fused_attention(theirs: str, ours: str, joint: str = ".") -> list[Rule]:
    """Conversion rules of a fused projection to queries, keys and values.

    Args:
      theirs: Name of the fused layer in the checkpoint.
      ours: Path of the attention in the parameters.
      joint: Separator between the name and ``weight`` or ``bias``.
    """
    names = ("query", "key", "value")
    return [
        Rule(
            f"{theirs}{joint}weight",
            tuple(f"params/{ours}/{name}/kernel" for name in names),
            DENSE,
        ),
        Rule(
            f"{theirs}{joint}bias",
            tuple(f"params/{ours}/{name}/bias" for name in names),
        ),
    ]


def timm_layers(theirs: str, ours: str) -> list[Rule]:
    """Conversion rules of the blocks of timm's ViT."""
    return [
        *layer_norm(f"{theirs}.norm1", f"{ours}/attention_norm"),
        *fused_attention(f"{theirs}.attn.qkv", f"{ours}/attention"),
        *dense(f"{theirs}.attn.proj", f"{ours}/attention/out"),
        *layer_norm(f"{theirs}.norm2", f"{ours}/mlp_norm"),
        *dense(f"{theirs}.mlp.fc1", f"{ours}/mlp/up"),
        *dense(f"{theirs}.mlp.fc2", f"{ours}/mlp/down"),
    ]


def transformers_layers(theirs: str, ours: str) -> list[Rule]:
    """Conversion rules of the layers of ViT in Hugging Face transformers."""
    attention = f"{theirs}.attention.attention"
    return [
        *layer_norm(f"{theirs}.layernorm_before", f"{ours}/attention_norm"),
        *dense(f"{attention}.query", f"{ours}/attention/query"),
        *dense(f"{attention}.key", f"{ours}/attention/key"),
        *dense(f"{attention}.value", f"{ours}/attention/value"),
        *dense(f"{theirs}.attention.output.dense", f"{ours}/attention/out"),
        *layer_norm(f"{theirs}.layernorm_after", f"{ours}/mlp_norm"),
        *dense(f"{theirs}.intermediate.dense", f"{ours}/mlp/up"),
        *dense(f"{theirs}.output.dense", f"{ours}/mlp/down"),
    ]


TIMM: Rules = [
    Rule("cls_token", "params/class_token"),
    Rule("pos_embed", "params/positions"),
    *conv("patch_embed.proj", "embedding"),
    *timm_layers("blocks.{i}", _LAYER),
    *layer_norm("norm", "norm"),
    *dense("head", "head"),
]

_TORCHVISION = "encoder.layers.encoder_layer_{i}"

TORCHVISION: Rules = [
    Rule("class_token", "params/class_token"),
    Rule("encoder.pos_embedding", "params/positions"),
    *conv("conv_proj", "embedding"),
    *layer_norm(f"{_TORCHVISION}.ln_1", f"{_LAYER}/attention_norm"),
    *fused_attention(
        f"{_TORCHVISION}.self_attention.in_proj", f"{_LAYER}/attention", "_"
    ),
    *dense(f"{_TORCHVISION}.self_attention.out_proj", f"{_LAYER}/attention/out"),
    *layer_norm(f"{_TORCHVISION}.ln_2", f"{_LAYER}/mlp_norm"),
    *dense(f"{_TORCHVISION}.mlp.0", f"{_LAYER}/mlp/up"),
    *dense(f"{_TORCHVISION}.mlp.3", f"{_LAYER}/mlp/down"),
    *layer_norm("encoder.ln", "norm"),
    *dense("heads.pre_logits", "pre_logits"),
    *dense("heads.head", "head"),
]

TRANSFORMERS: Rules = [
    Rule("[vit.]embeddings.cls_token", "params/class_token"),
    Rule("[vit.]embeddings.position_embeddings", "params/positions"),
    *conv("[vit.]embeddings.patch_embeddings.projection", "embedding"),
    *transformers_layers("[vit.]encoder.layer.{i}", _LAYER),
    *layer_norm("[vit.]layernorm", "norm"),
    *dense("[vit.]pooler.dense", "pre_logits"),
    *dense("classifier", "head"),
]
