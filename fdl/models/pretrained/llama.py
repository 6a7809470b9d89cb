"""Conversion rules of Llama for checkpoints of Hugging Face transformers."""

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
    # Qwen2 has these biases.
    *(
        Rule(
            f"{_THEIRS}.self_attn.{theirs}_proj.bias", f"{_OURS}/attention/{ours}/bias"
        )
        for theirs, ours in [("q", "query"), ("k", "key"), ("v", "value")]
    ),
    Rule(f"{_THEIRS}.post_attention_layernorm.weight", f"{_OURS}/mlp_norm/scale"),
    *(
        Rule(f"{_THEIRS}.mlp.{name}_proj.weight", f"{_OURS}/mlp/{name}/kernel", DENSE)
        for name in ("gate", "up", "down")
    ),
    Rule("[model.]norm.weight", "params/norm/scale"),
    # The frequencies of the rotary embedding, a buffer that older versions saved.
    Rule(f"{_THEIRS}.self_attn.rotary_emb.inv_freq", ()),
]


def rules(*, tie_embeddings: bool) -> Rules:
    """Conversion rules of a Llama model.

    Args:
      tie_embeddings: Whether the output layer is tied to the token embedding.
    """
    if tie_embeddings:
        return [*_COMMON, Rule("lm_head.weight", "params/token_embedding/embedding")]
    return [*_COMMON, Rule("lm_head.weight", "params/head/kernel", DENSE)]
