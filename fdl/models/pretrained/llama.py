"""Llama and its kin, as transformers publishes them."""

from fdl.models.pretrained.rules import DENSE, Rule, Rules

_THEIRS, _OURS = "[model.]layers.{i}", "params/decoder/layers_{i}"

_COMMON = [
    Rule("[model.]embed_tokens.weight", "params/token_embedding/embedding"),
    Rule(f"{_THEIRS}.input_layernorm.weight", f"{_OURS}/attention_norm/scale"),
    *(
        Rule(
            f"{_THEIRS}.self_attn.{theirs}_proj.weight",
            f"{_OURS}/attention/{ours}/kernel",
            DENSE,
        )
        for theirs, ours in [("q", "query"), ("k", "key"), ("v", "value"), ("o", "out")]
    ),
    Rule(f"{_THEIRS}.post_attention_layernorm.weight", f"{_OURS}/mlp_norm/scale"),
    *(
        Rule(f"{_THEIRS}.mlp.{name}_proj.weight", f"{_OURS}/mlp/{name}/kernel", DENSE)
        for name in ("gate", "up", "down")
    ),
    Rule("[model.]norm.weight", "params/norm/scale"),
    # The frequencies of the rotations.
    Rule(f"{_THEIRS}.self_attn.rotary_emb.inv_freq", ()),
]


def rules(tie_embeddings: bool) -> Rules:
    """Those of a model whose embedding is also its readout, or is not."""
    if tie_embeddings:
        return [*_COMMON, Rule("lm_head.weight", "params/token_embedding/embedding")]
    return [*_COMMON, Rule("lm_head.weight", "params/head/kernel", DENSE)]
