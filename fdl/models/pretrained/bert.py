"""Conversion rules of BERT for checkpoints of Hugging Face transformers."""

from fdl.models.pretrained.layer_rules import dense, layer_norm
from fdl.models.pretrained.rules import Rule, Rules

_THEIRS, _OURS = "[bert.]encoder.layer.{i}", "encoder/layers_{i}"
_EMBEDDINGS = "[bert.]embeddings"


def _with_gamma(rules: Rules) -> Rules:
    """Rules with TensorFlow's names of layer norms, as in the earliest checkpoints."""
    return [
        rule._replace(
            theirs=rule.theirs.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
                "LayerNorm.bias", "LayerNorm.beta"
            )
        )
        for rule in rules
    ]


_ENCODER: Rules = [
    Rule(f"{_EMBEDDINGS}.word_embeddings.weight", "params/token_embedding/embedding"),
    Rule(
        f"{_EMBEDDINGS}.position_embeddings.weight",
        "params/position_embedding/embedding",
    ),
    Rule(
        f"{_EMBEDDINGS}.token_type_embeddings.weight", "params/type_embedding/embedding"
    ),
    # A buffer of 0, 1, 2, ..., which older versions saved.
    Rule(f"{_EMBEDDINGS}.position_ids", ()),
    *layer_norm(f"{_EMBEDDINGS}.LayerNorm", "embedding_norm"),
    *dense(f"{_THEIRS}.attention.self.query", f"{_OURS}/attention/query"),
    *dense(f"{_THEIRS}.attention.self.key", f"{_OURS}/attention/key"),
    *dense(f"{_THEIRS}.attention.self.value", f"{_OURS}/attention/value"),
    *dense(f"{_THEIRS}.attention.output.dense", f"{_OURS}/attention/out"),
    *layer_norm(f"{_THEIRS}.attention.output.LayerNorm", f"{_OURS}/attention_norm"),
    *dense(f"{_THEIRS}.intermediate.dense", f"{_OURS}/mlp/up"),
    *dense(f"{_THEIRS}.output.dense", f"{_OURS}/mlp/down"),
    *layer_norm(f"{_THEIRS}.output.LayerNorm", f"{_OURS}/mlp_norm"),
    *dense("[bert.]pooler.dense", "pooler"),
]

TRANSFORMERS: Rules = [*_ENCODER, *dense("classifier", "head")]

PRETRAINING: Rules = [
    *_ENCODER,
    *dense("cls.predictions.transform.dense", "transform"),
    *layer_norm("cls.predictions.transform.LayerNorm", "transform_norm"),
    # Checkpoints hold the tied embedding and the bias twice; `load` compares them.
    Rule("cls.predictions.bias", "params/token_bias"),
    Rule("cls.predictions.decoder.bias", "params/token_bias"),
    Rule("cls.predictions.decoder.weight", "params/token_embedding/embedding"),
    *dense("cls.seq_relationship", "head"),
]

TRANSFORMERS_GAMMA = _with_gamma(TRANSFORMERS)
PRETRAINING_GAMMA = _with_gamma(PRETRAINING)
