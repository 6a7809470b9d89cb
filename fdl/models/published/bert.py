"""Configs of BERT."""

from typing import Any

from fdl.errors import UserError
from fdl.models.language.bert import BERT
from fdl.models.language.bert_pretraining import BERTPretraining
from fdl.models.published.fields import (
    Attributes,
    Config,
    activation,
    activation_name,
    expect,
    num_labels,
    one_rate,
    value,
)

# Weights of other heads, which published files hold as well.
IGNORED = {
    "BertForMaskedLM": ("bert.pooler.*", "cls.seq_relationship.*"),
    "BertModel": ("cls.*",),
}


def read(config: Config, architecture: str, options: Config) -> tuple[Any, Attributes]:
    """Module and its attributes of a config of BERT.

    Args:
      config: Content of ``config.json``.
      architecture: Name of the architecture in transformers.
      options: Attributes that replace those of the config.

    Raises:
      UserError: A value is missing, or is not supported.
    """
    expect(config, "position_embedding_type", "absolute")
    expect(config, "is_decoder", False)
    if architecture in ("BertForMaskedLM", "BertForPreTraining"):
        expect(config, "tie_word_embeddings", True)
    rates = ["hidden_dropout_prob"]
    kind: type[BERT] = BERT
    head: Attributes = {"num_classes": None}
    if architecture == "BertForPreTraining":
        kind, head = BERTPretraining, {}
    elif architecture == "BertForMaskedLM":
        kind, head = BERTPretraining, {"pool": "none", "num_classes": None}
    elif architecture != "BertModel":
        pool = "none" if architecture == "BertForTokenClassification" else "token"
        head = {"pool": pool, "num_classes": num_labels(config)}
        rates.append("classifier_dropout")
    return kind, {
        "num_layers": value(config, "num_hidden_layers", int),
        "num_heads": value(config, "num_attention_heads", int),
        "hidden_size": value(config, "hidden_size", int),
        "mlp_size": value(config, "intermediate_size", int),
        "activation": activation(config, "hidden_act", "gelu"),
        "vocab_size": value(config, "vocab_size", int),
        "max_length": value(config, "max_position_embeddings", int),
        "num_token_types": value(config, "type_vocab_size", int, 2),
        "pad_token": value(config, "pad_token_id", int, 0),
        "epsilon": value(config, "layer_norm_eps", float, 1e-12),
        "dropout": 0.0 if "dropout" in options else one_rate(config, *rates),
        "attention_dropout": value(config, "attention_probs_dropout_prob", float, 0.1),
        **head,
    }


def write(module: BERT, config: Config) -> dict[str, Any]:
    """Config of a BERT; inverse of `read`.

    Args:
      module: Module.
      config: Config that it was read from, if any.

    Raises:
      UserError: Transformers has no such network.
    """
    del config
    rate = module.attention_dropout
    return {
        "architectures": [_architecture(module)],
        "model_type": "bert",
        "num_hidden_layers": module.num_layers,
        "num_attention_heads": module.num_heads,
        "hidden_size": module.hidden_size,
        "intermediate_size": module.mlp_size or 4 * module.hidden_size,
        "hidden_act": activation_name(module.activation),
        "vocab_size": module.vocab_size,
        "max_position_embeddings": module.max_length,
        "type_vocab_size": module.num_token_types,
        "pad_token_id": module.pad_token,
        "layer_norm_eps": module.epsilon,
        "hidden_dropout_prob": module.dropout,
        "attention_probs_dropout_prob": module.dropout if rate is None else rate,
        "classifier_dropout": None,
        "tie_word_embeddings": True,
    }


def _architecture(module: BERT) -> str:
    pretraining = isinstance(module, BERTPretraining)
    if pretraining and module.pool == "none" and module.num_classes is None:
        return "BertForMaskedLM"
    if pretraining and module.pool == "token" and module.num_classes == 2:
        return "BertForPreTraining"
    if not pretraining and module.pool == "token":
        head = module.num_classes is None
        return "BertModel" if head else "BertForSequenceClassification"
    if not pretraining and module.pool == "none" and module.num_classes is not None:
        return "BertForTokenClassification"
    raise UserError(
        f"pool={module.pool!r}, num_classes={module.num_classes}: expected a network "
        "that transformers has"
    )
