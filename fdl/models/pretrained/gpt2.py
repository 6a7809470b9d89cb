"""Conversion rules of GPT-2 for checkpoints of Hugging Face transformers.

Dense kernels there are [in, out], as in flax, and are not transposed.
"""

from fdl.models.pretrained.layer_rules import layer_norm
from fdl.models.pretrained.rules import Rule

_THEIRS, _OURS = "[transformer.]h.{i}", "decoder/layers_{i}"
_ATTENTION = ("query", "key", "value")


def _dense(theirs: str, *ours: str) -> list[Rule]:
    kernels = tuple(f"params/{path}/kernel" for path in ours)
    biases = tuple(f"params/{path}/bias" for path in ours)
    return [
        Rule(f"{theirs}.weight", kernels, axis=1),
        Rule(f"{theirs}.bias", biases),
    ]


TRANSFORMERS = [
    Rule("[transformer.]wte.weight", "params/token_embedding/embedding"),
    Rule("[transformer.]wpe.weight", "params/position_embedding/embedding"),
    *layer_norm(f"{_THEIRS}.ln_1", f"{_OURS}/attention_norm"),
    *_dense(
        f"{_THEIRS}.attn.c_attn", *(f"{_OURS}/attention/{part}" for part in _ATTENTION)
    ),
    *_dense(f"{_THEIRS}.attn.c_proj", f"{_OURS}/attention/out"),
    *layer_norm(f"{_THEIRS}.ln_2", f"{_OURS}/mlp_norm"),
    *_dense(f"{_THEIRS}.mlp.c_fc", f"{_OURS}/mlp/up"),
    *_dense(f"{_THEIRS}.mlp.c_proj", f"{_OURS}/mlp/down"),
    *layer_norm("[transformer.]ln_f", "norm"),
    # Buffers of the causal mask.
    Rule(f"{_THEIRS}.attn.bias", ()),
    Rule(f"{_THEIRS}.attn.masked_bias", ()),
    # The output layer is tied to the embedding; some checkpoints hold a copy.
    Rule("lm_head.weight", "params/token_embedding/embedding"),
]
